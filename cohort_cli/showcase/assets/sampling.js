// From logits to a token: probabilities, and a draw that is the same for the same seed. Needs weights.js before it.
(() => {
  "use strict";
  const cohort = (globalThis.cohort = globalThis.cohort || {});
  const { refuse, show } = cohort;

  function softmax(values, length) { // in place, the first `length`
    let most = -Infinity, sum = 0;
    for (let i = 0; i < length; i++) most = Math.max(most, values[i]);
    for (let i = 0; i < length; i++) sum += values[i] = Math.exp(values[i] - most);
    for (let i = 0; i < length; i++) values[i] /= sum;
  }

  function probabilities(logits, temperature = 1, topK = 0) { // only the topK highest count; 0: all of them
    if (!(temperature > 0) || temperature === Infinity) refuse(`the temperature is ${show(temperature)}`);
    const lowest = topK > 0 && topK < logits.length ? Float32Array.from(logits).sort()[logits.length - topK] : -Infinity;
    const most = logits.reduce((a, b) => Math.max(a, b)); // taken off first, so that nothing grows beyond all numbers
    const shares = Float32Array.from(logits, (logit) => (logit < lowest ? -Infinity : (logit - most) / temperature));
    softmax(shares, shares.length);
    return shares;
  }

  function sample(logits, temperature = 1, topK = 0, draw = Math.random) { // 0 takes the likeliest
    if (temperature === 0) return logits.reduce((best, logit, id) => (logit > logits[best] ? id : best), 0);
    const shares = probabilities(logits, temperature, topK);
    let left = draw(), last = 0;
    for (let id = 0; id < shares.length; id++) {
      if (!(shares[id] > 0)) continue;
      last = id;
      if ((left -= shares[id]) < 0) return id;
    }
    return last;
  }

  function random(seed) { // numbers from 0 to below 1, the same for the same seed (mulberry32)
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  Object.assign(cohort, { softmax, probabilities, sample, random });
})();
