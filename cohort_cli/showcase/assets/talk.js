// Talk to a model: a prompt, and the text that goes on from it, token by token. Each token shows how likely it was, and
// what could have stood in its place. cohort.page.writer is used by compare.js too.
(() => {
  "use strict";
  const BUDGET = 12; // milliseconds of computing, then the page has its turn
  const MOST_KEPT = 1 << 26; // bytes of logits
  const NUMBERS = { // label, usual value, least, most, step
    temperature: ["Temperature", 0.8, 0, 5, 0.1], topK: ["Top k (0: all)", 40, 0, 1e6, 1],
    tokens: ["Tokens", 100, 1, 500, 1], seed: ["Seed", 1, 0, 4294967295, 1],
  };
  const cohort = (globalThis.cohort = globalThis.cohort || {});

  function settings(changed) { // -> {row, values()}: fields for the numbers above
    const { make } = cohort.page, fields = {};
    const row = make("div", { className: "cohort-row" });
    for (const [key, [label, value, min, max, step]] of Object.entries(NUMBERS)) {
      fields[key] = make("input", { type: "number", min, max, step, value, oninput: changed, onchange: () => values(true) });
      row.append(make("label", {}, label, fields[key]));
    }
    const values = (correct) => Object.fromEntries(Object.entries(NUMBERS).map(([key, [, usual, least, most, step]]) => {
      const given = fields[key].valueAsNumber;
      let value = Number.isNaN(given) ? usual : Math.min(most, Math.max(least, given));
      if (step === 1) value = Math.round(value);
      if (correct) fields[key].value = value;
      return [key, value];
    }));
    return { row, values };
  }

  function writer({ model, tokenizer }, values, name = "What the model wrote") { // -> {place, write, stop, clear, refresh}
    const { make, percent, pause, shown, encode, choosable, attempt } = cohort.page;
    const given = make("span", { className: "cohort-given" });
    const list = make("span", { role: "listbox", "aria-label": name, hidden: true });
    const said = make("p", { role: "status", className: "cohort-small" }), aloud = make("span", { className: "cohort-aloud" });
    const detail = make("div", { "aria-live": "polite" });
    const place = make("div", {}, make("div", { className: "cohort-text", dir: "auto" }, given, list), said, detail);
    const most = Math.max(1, Math.floor(MOST_KEPT / (4 * model.shape.vocab_size)));
    let steps = [], at = -1, current = null;

    function clear() {
      current = null;
      [steps, at] = [[], -1];
      for (const part of [given, list, said, detail]) part.replaceChildren();
      list.hidden = true;
    }

    function add({ id, logits }, letters) {
      const share = cohort.probabilities(logits)[id], name = `${shown(tokenizer, id)}, ${percent(share)}`;
      const token = make("span", { role: "option", tabIndex: steps.length ? -1 : 0, title: name, "aria-label": name }, letters);
      token.setAttribute("aria-selected", "false");
      token.style.setProperty("--share", share);
      if (!letters) token.className = "cohort-part"; // the first bytes of a character, which a later token ends
      list.append(token);
      list.hidden = false;
      steps.push({ id, logits });
    }

    async function write(prompt) {
      clear();
      const run = (current = {}), { tokens, ...how } = values(true), ids = encode(tokenizer, prompt);
      const { context } = model.shape, letters = new TextDecoder("utf-8", { ignoreBOM: true });
      given.textContent = prompt;
      said.textContent = "Writing …";
      await pause();
      const began = performance.now();
      let until = began + BUDGET, first = 0, why = "";
      if (current !== run) return;
      for (const step of model.generate(ids, { ...how, tokens: Math.min(tokens, most) })) {
        add(step, letters.decode(Uint8Array.from(tokenizer.bytes(step.id)), { stream: true }));
        first ||= performance.now() - began;
        if (step.id === tokenizer.endOfText) { why = " The model ended its text."; break; }
        if (performance.now() < until) continue;
        await pause();
        if (current !== run) { why = " Stopped."; break; }
        until = performance.now() + BUDGET;
      }
      if (current !== run && current !== null || !steps.length) return; // cleared, or another text has begun
      list.lastChild.append(letters.decode()); // "�" if its last character was never ended
      const seconds = (performance.now() - began) / 1000, rate = Math.round(steps.length / seconds);
      const cut = ids.length > context ? ` The prompt has ${ids.length} tokens; the model sees the last ${context}.` : "";
      said.textContent = `${steps.length} tokens; the first after ${first.toFixed(1)} ms, ${rate} a second.${why}${cut}`;
      aloud.textContent = ` ${list.textContent}`; // heard once, at the end, by who cannot see it
      said.append(aloud);
      current = null;
    }

    function refresh() { // the five likeliest at the chosen place, from logits that were kept: nothing is computed again
      if (at < 0) return;
      const { id, logits } = steps[at], { temperature, topK } = values();
      const shares = cohort.probabilities(logits, temperature || 1, topK);
      const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]), rank = order.indexOf(id);
      const rows = order.slice(0, 5).concat(rank > 4 ? [id] : []).map((one) => {
        const bar = make("span", { className: "cohort-bar" });
        bar.style.width = `${100 * shares[one]}%`;
        const mark = one === id ? (rank > 4 ? ` written; place ${rank + 1}` : " written") : "";
        return make("tr", {}, make("th", { scope: "row" }, make("code", {}, shown(tokenizer, one))),
                    make("td", {}, bar), make("td", {}, percent(shares[one]) + mark));
      });
      const how = `temperature ${temperature || "1 (at 0 the first is always taken)"}, ${topK ? `top ${topK}` : "all tokens"}`;
      detail.replaceChildren(make("table", { className: "cohort-likely" },
        make("caption", {}, `The likeliest tokens at place ${at + 1}: ${how}`), make("tbody", {}, ...rows)));
    }

    choosable(list, "[role=option]", (index, token) => {
      for (const other of list.children) other.setAttribute("aria-selected", other === token);
      at = index;
      refresh();
    });
    return { place, clear, refresh, write: (prompt) => attempt(said, () => write(prompt)), stop: () => { current = null; } };
  }

  function promptField(value) {
    const { make } = cohort.page, field = make("textarea", { rows: 2, maxLength: 4000, spellcheck: false, value });
    return { field, label: make("label", { className: "cohort-prompt" }, "Prompt", field) };
  }

  (cohort.parts = cohort.parts || {}).talk = async (box) => {
    const { make, model } = cohort.page;
    const loaded = await model(box, box.dataset.files);
    const { row, values } = settings(() => pen.refresh()), pen = writer(loaded, values);
    const { field, label } = promptField(box.dataset.prompt || "");
    const button = (words, onclick) => make("button", { type: "button", className: "md-button", onclick }, words);
    box.replaceChildren(label, row, make("div", { className: "cohort-row" },
      button("Write", () => pen.write(field.value)), button("Stop", pen.stop), button("Clear", pen.clear)), pen.place);
  };

  cohort.writing = { settings, writer, promptField };
})();
