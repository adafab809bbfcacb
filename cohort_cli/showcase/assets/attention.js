// Who looks at whom: the attention of one head on a text, as a table. Row: the token that looks; column: at which token.
(() => {
  "use strict";
  const MOST = 24; // tokens
  const cohort = (globalThis.cohort = globalThis.cohort || {});

  (cohort.parts = cohort.parts || {}).attention = async (box) => {
    const { make, model, shown, encode, percent, choosable, attempt } = cohort.page;
    const loaded = await model(box, box.dataset.files), { tokenizer } = loaded, network = loaded.model;
    const { n_layers, n_heads, context } = network.shape, most = Math.min(MOST, context);
    const select = (label, length) => {
      const options = Array.from({ length }, (_, n) => make("option", { value: n }, `${n + 1} of ${length}`));
      const made = make("select", { onchange: draw }, ...options);
      return [made, make("label", {}, label, made)];
    };
    const [layer, layerLabel] = select("Layer", n_layers), [head, headLabel] = select("Head", n_heads);
    const field = make("input", { maxLength: 1000, spellcheck: false, oninput: read, value: box.dataset.prompt || "" });
    const said = make("p", { role: "status", className: "cohort-small" }), row = make("p", { "aria-live": "polite" });
    const map = make("div", { className: "cohort-scroll", tabIndex: 0, role: "region", "aria-label": "Attention map" });
    let ids = [], names = [];

    function read() {
      return attempt(said, () => {
        for (const part of [said, row, map]) part.replaceChildren();
        const whole = encode(tokenizer, field.value);
        ids = whole.slice(-most);
        names = ids.map((id) => shown(tokenizer, id));
        network.reset();
        network.feed(ids);
        if (whole.length > most) said.textContent = `The last ${most} of ${whole.length} tokens.`;
        draw();
      });
    }

    function draw() {
      const size = network.length, shares = network.attention(Number(layer.value), Number(head.value));
      const header = (name, scope, facts = {}) => make("th", { scope, ...facts }, make("code", { title: name }, name));
      const cell = (query, key) => {
        if (key > query) return make("td"); // a token sees none behind itself
        const share = shares[query * size + key], words = percent(share);
        const made = make("td", { title: `${names[query]} → ${names[key]}: ${words}` });
        made.append(make("span", { className: "cohort-aloud" }, words));
        made.style.setProperty("--share", share);
        return made;
      };
      const rows = names.map((name, query) => make("tr", {},
        header(name, "row", { tabIndex: query ? -1 : 0, onmouseenter: () => tell(query) }),
        ...names.map((_, key) => cell(query, key))));
      const caption = `Layer ${Number(layer.value) + 1}, head ${Number(head.value) + 1}. Row: who looks. Column: at whom.`;
      map.replaceChildren(make("table", { className: "cohort-map" }, make("caption", {}, caption),
        make("thead", {}, make("tr", {}, make("td"), ...names.map((name) => header(name, "col")))),
        make("tbody", {}, ...rows)));
      tell(names.length - 1);
    }

    function tell(query) { // one row in words
      const size = network.length, own = network.attention(Number(layer.value), Number(head.value)).subarray(query * size);
      const order = Array.from({ length: query + 1 }, (_, key) => key).sort((a, b) => own[b] - own[a]).slice(0, 5);
      const words = order.map((key) => `“${names[key]}” (${key + 1}) ${percent(own[key])}`).join(", ");
      row.textContent = `Token ${query + 1}, “${names[query]}”, looks at ${words}`;
      for (const [n, line] of map.querySelectorAll("tbody tr").entries()) line.classList.toggle("cohort-now", n === query);
    }

    choosable(map, "tbody th", tell);
    box.replaceChildren(make("label", { className: "cohort-prompt" }, "Text", field),
      make("div", { className: "cohort-row" }, layerLabel, headLabel), said, map, row);
    await read();
  };
})();
