// Who looks at whom: the attention of one head on a text, as a table. Row: the token that looks; column: at which token.
(() => {
  "use strict";
  const MOST = 24; // tokens
  const { cohort } = globalThis, { make, load, shown, encode, percent, choosable, attempt } = cohort.page;

  cohort.parts.attention = async (box) => {
    const { model, tokenizer } = await load(box, box.dataset.files), most = Math.min(MOST, model.shape.context);
    const choice = (length) => make("select", { onchange: draw },
      ...Array.from({ length }, (_, n) => make("option", { value: n }, `${n + 1} of ${length}`)));
    const layer = choice(model.shape.n_layers), head = choice(model.shape.n_heads);
    const field = make("input", { maxLength: 1000, spellcheck: false, oninput: read, value: box.dataset.prompt || "" });
    const said = make("p.small", { role: "status" }), line = make("p", { "aria-live": "polite" });
    const map = make("div.scroll", { tabIndex: 0, role: "region", "aria-label": "Attention map" });
    let names = [], shares = [];

    function read() { attempt(said, look); }

    function look() {
      for (const part of [said, line, map]) part.replaceChildren();
      const ids = encode(tokenizer, field.value);
      if (ids.length > most) said.textContent = `The last ${most} of ${ids.length} tokens.`;
      names = ids.slice(-most).map((id) => shown(tokenizer, id));
      model.reset();
      model.feed(ids.slice(-most));
      draw();
    }

    function draw() {
      const T = names.length, header = (name, facts) => make("th", facts, make("code", { title: name }, name));
      shares = model.attention(layer.selectedIndex, head.selectedIndex);
      const cell = (query, key) => {
        if (key > query) return make("td"); // nobody sees what comes later
        const words = percent(shares[query * T + key]), title = `${names[query]} → ${names[key]}: ${words}`;
        const made = make("td", { title }, make("span.aloud", {}, words));
        made.style.setProperty("--share", shares[query * T + key]);
        return made;
      };
      const rows = names.map((name, query) => make("tr", { onmouseenter: () => tell(query) },
        header(name, { scope: "row", tabIndex: query ? -1 : 0 }), ...names.map((_, key) => cell(query, key))));
      map.replaceChildren(make("table.map", {},
        make("caption", {}, "Each token (row) looks at those before it (columns)"),
        make("thead", {}, make("tr", {}, make("td"), ...names.map((name) => header(name, { scope: "col" })))),
        make("tbody", {}, ...rows)));
      tell(T - 1);
    }

    function tell(query) { // one row in words
      const own = shares.subarray(query * names.length), keys = names.map((_, key) => key).slice(0, query + 1);
      const most = keys.sort((a, b) => own[b] - own[a]).slice(0, 5);
      const words = most.map((key) => `“${names[key]}” (${key + 1}) ${percent(own[key])}`).join(", ");
      line.textContent = `Token ${query + 1}, “${names[query]}”, looks at ${words}`;
      map.querySelectorAll("tbody tr").forEach((row, n) => row.classList.toggle("now", n === query));
    }

    choosable(map, "tbody th", tell);
    box.replaceChildren(make("label", {}, "Text", field),
      make("div.row", {}, make("label", {}, "Layer", layer), make("label", {}, "Head", head)), said, map, line);
    read();
  };
})();
