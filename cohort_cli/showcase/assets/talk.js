// Talk to a model: a prompt, and the text that goes on from it, token by token. Each token shows how likely it was, and
// what could have stood in its place. compare.js uses the same form and the same writer.
(() => {
  "use strict";
  const BUDGET = 12; // milliseconds of computing, then the page has its turn
  const MOST_KEPT = 1 << 26; // bytes of logits
  const { cohort } = globalThis, { make, button, percent, pause, load, shown, encode, choosable, attempt } = cohort.page;
  const NUMBERS = { // label, usual value, least, most, step
    temperature: ["Temperature", 0.8, 0, 5, 0.05], topK: ["Top k (0: all)", 40, 0, 1e6, 1],
    tokens: ["Tokens", 100, 1, 500, 1], seed: ["Seed", 1, 0, 4294967295, 1],
  };

  function form(prompt, pens) { // `pens`: a function -> the writers that this form moves
    const field = make("textarea", { rows: 2, maxLength: 4000, spellcheck: false, value: prompt });
    const again = () => each("refresh");
    const inputs = Object.entries(NUMBERS).map(([name, [, value, min, max, step]]) =>
      make("input", { type: "number", required: true, name, min, max, step, value, oninput: again }));
    const values = () => Object.fromEntries(inputs.map((input) => [input.name, input.valueAsNumber]));
    const each = (what) => pens().forEach((pen) => pen[what](values(), field.value));
    const onsubmit = (event) => { // a browser submits nothing while a number is out of its range, and says so
      event.preventDefault();
      each("write");
    };
    return make("form", { onsubmit }, make("label", {}, "Prompt", field),
      make("div.row", {}, ...inputs.map((input) => make("label", {}, NUMBERS[input.name][0], input))),
      make("div.row", {}, make("button.md-button", {}, "Write"),
        button("Stop", () => each("stop")), button("Clear", () => each("clear"))));
  }

  function writer({ model, tokenizer }, name) { // -> {place, write, stop, clear, refresh}
    const given = make("b"), list = make("span", { role: "listbox", "aria-label": name, hidden: true });
    const said = make("p.small", { role: "status" }), detail = make("div", { "aria-live": "polite" });
    const place = make("div", {}, make("div.text", { dir: "auto" }, given, list), said, detail);
    let steps = [], at = -1, run = null;

    function clear() {
      [steps, at, run] = [[], -1, null];
      for (const part of [given, list, said, detail]) part.replaceChildren();
      list.hidden = true;
    }

    function add(step, letters) {
      const share = cohort.probabilities(step.logits)[step.id];
      const title = `${shown(tokenizer, step.id)}, ${percent(share)}`;
      const tabIndex = steps.length ? -1 : 0;
      const facts = { role: "option", tabIndex, title, "aria-label": title, "aria-selected": false };
      const token = make(letters ? "span" : "span.part", facts, letters); // a part: a later token ends the character
      token.style.setProperty("--share", share);
      list.append(token);
      list.hidden = false;
      steps.push(step);
    }

    async function write({ tokens, ...how }, prompt) {
      clear();
      const ids = encode(tokenizer, prompt), own = (run = {}), { context, vocab_size } = model.shape;
      const letters = new TextDecoder("utf-8", { ignoreBOM: true }), most = Math.ceil(MOST_KEPT / 4 / vocab_size);
      given.textContent = prompt;
      said.textContent = "Writing …";
      const began = performance.now();
      let until = began + BUDGET, first = 0, why = "";
      const mine = steps;
      for (const step of model.generate(ids, { ...how, tokens: Math.min(tokens, most), turns: true })) {
        if (step) { // else it still reads the prompt
          add(step, letters.decode(Uint8Array.from(tokenizer.bytes(step.id)), { stream: true }));
          first ||= performance.now() - began;
        }
        if (step && step.id === tokenizer.endOfText) why = " The model ended its text.";
        else if (performance.now() > until) {
          await pause();
          if (steps !== mine) return; // another text has begun, or this one is cleared
          if (run !== own) why = " Stopped.";
          until = performance.now() + BUDGET;
        }
        if (why) break;
      }
      list.lastChild?.append(letters.decode()); // "\ufffd" if its last character was never ended
      const rate = Math.round((1000 * steps.length) / (performance.now() - began));
      if (ids.length > context) why += ` The prompt has ${ids.length} tokens; the model saw the last ${context}.`;
      const sum = `${steps.length} tokens; the first after ${first.toFixed(1)} ms, ${rate} a second.`;
      said.replaceChildren((steps.length ? sum : "") + why,
        make("span.aloud", {}, list.textContent)); // heard once, at the end
    }

    function refresh({ temperature, topK }) { // the five likeliest at the chosen place, from logits that were kept
      if (at < 0 || !(temperature >= 0)) return;
      const { id, logits } = steps[at], shares = cohort.probabilities(logits, temperature || 1, topK);
      const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]), rank = order.indexOf(id);
      const rows = order.slice(0, 5).concat(rank > 4 ? id : []).map((one) => {
        const bar = make("span.bar"), mark = one !== id ? "" : rank > 4 ? ` written; place ${rank + 1}` : " written";
        bar.style.width = `${100 * shares[one]}%`;
        return make("tr", {}, make("th", { scope: "row" }, make("code", {}, shown(tokenizer, one))),
          make("td", {}, bar), make("td", {}, percent(shares[one]) + mark));
      });
      const kept = topK ? `top ${topK}` : "all tokens", how = temperature || "1: 0 always takes the first";
      const caption = `Likeliest at place ${at + 1} (temperature ${how}; ${kept})`;
      detail.replaceChildren(make("table.likely", {}, make("caption", {}, caption), make("tbody", {}, ...rows)));
    }

    let last = {};
    const keep = (work) => (values, prompt) => work((last = values), prompt);
    choosable(list, "[role=option]", (index) => {
      [...list.children].forEach((token, n) => token.setAttribute("aria-selected", n === index));
      at = index;
      refresh(last);
    });
    return { place, clear, stop: () => { run = null; }, refresh: keep(refresh),
             write: keep((values, prompt) => attempt(said, () => write(values, prompt))) };
  }

  cohort.writing = { form, writer };
  cohort.parts.talk = async (box) => {
    const pen = writer(await load(box, box.dataset.files), "What the model wrote");
    box.replaceChildren(form(box.dataset.prompt || "", () => [pen]), pen.place);
  };
})();
