// Two entries beside each other: their curves, and what their models write on one prompt with one seed. What is compared
// stands in the address (#a=…&b=…), so that it can be sent to somebody.
(() => {
  "use strict";
  const MOST_POINTS = 200, HEIGHT = 260, LEFT = 46, RIGHT = 12, TOP = 10, BOTTOM = 40;
  const SIDES = ["a", "b"], NAME = /^[A-Za-z0-9][\w.]*(-[\w.]+)+$/;
  const cohort = (globalThis.cohort = globalThis.cohort || {});

  async function readList(url) { // -> [{folder, title, live, …}]; what does not look like an entry is left out
    const bytes = await cohort.page.fetched(url, 1 << 22), found = JSON.parse(new TextDecoder().decode(bytes));
    const list = Array.isArray(found) ? found : found?.entries;
    return Array.isArray(list) ? list.filter((entry) => typeof entry?.folder === "string" && NAME.test(entry.folder)) : [];
  }

  async function readMetrics(url) { // -> rows of numbers
    const lines = new TextDecoder().decode(await cohort.page.fetched(url, 1 << 21)).split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  }

  function points(rows, key) { // [[step, value], …]
    const all = rows.filter((row) => Number.isFinite(row?.[key]) && Number.isFinite(row.step));
    const every = Math.ceil(all.length / MOST_POINTS);
    return all.filter((_, n) => n % every === 0 || n === all.length - 1).map((row) => [row.step, row[key]]);
  }

  function ticks(low, high) { // round numbers around both
    const raw = (high - low || Math.abs(high) || 1) / 4, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999), found = [];
    for (let n = Math.floor(low / step); found.length < 2 || (n - 1) * step < high; n++) found.push(Number((n * step).toPrecision(6)));
    return found;
  }

  function chart(lines, title, width) { // lines: two lists of points
    const draw = (tag, facts, words) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value);
      if (words !== undefined) made.textContent = words;
      return made;
    };
    const all = lines.flat(), range = (axis) => all.map((point) => point[axis]);
    const across = ticks(0, Math.max(...range(0))), up = ticks(Math.min(...range(1)), Math.max(...range(1)));
    const place = (marks, from, to) => (value) => from + ((value - marks[0]) / (marks.at(-1) - marks[0])) * (to - from);
    const x = place(across, LEFT, width - RIGHT), y = place(up, HEIGHT - BOTTOM, TOP);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": title, class: "cohort-chart" });
    for (const value of up)
      svg.append(draw("path", { d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
                 draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value));
    for (const value of across)
      svg.append(draw("text", { x: x(value), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, value));
    svg.append(draw("text", { x: (LEFT + width) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "step"));
    for (const [n, line] of lines.entries())
      svg.append(draw("path", { class: `cohort-${SIDES[n]}`, d: `M${line.map(([a, b]) => `${x(a)} ${y(b)}`).join("L")}` }));
    return svg;
  }

  (cohort.parts = cohort.parts || {}).compare = async (box) => {
    const { make, model, attempt } = cohort.page, { settings, writer, promptField } = cohort.writing;
    const list = await readList(box.dataset.list), base = box.dataset.base, models = new Map();
    if (list.length < 2) throw new Error("There are no two entries to compare yet");
    const address = new URLSearchParams(location.hash.slice(1)), pens = {};
    const said = make("p", { role: "status" }), curves = make("div");
    const places = SIDES.map(() => make("div")), titles = SIDES.map(() => make("h3"));
    const selects = SIDES.map((side, n) => {
      const made = make("select", { onchange: changed }, ...list.map(({ folder, title }) =>
        make("option", { value: folder }, `${String(title).slice(0, 80)} (${folder})`)));
      const wanted = address.get(side), known = list.some(({ folder }) => folder === wanted);
      made.value = known ? wanted : list[n].folder;
      if (wanted && !known) said.textContent = `There is no entry “${wanted.slice(0, 80)}” here. `;
      return made;
    });
    const { row, values } = settings(() => Object.values(pens).forEach((pen) => pen.refresh()));
    const { field, label } = promptField(box.dataset.prompt || "The ");
    const chosen = (n) => list.find(({ folder }) => folder === selects[n].value);

    async function changed() {
      Object.values(pens).forEach((pen) => pen.stop());
      history.replaceState(null, "", `#${new URLSearchParams(SIDES.map((side, n) => [side, selects[n].value]))}`);
      for (const [n, side] of SIDES.entries()) {
        delete pens[side];
        titles[n].textContent = `${side.toUpperCase()}: ${chosen(n).folder}`;
        places[n].replaceChildren(chosen(n).live ? "" : "No live model.");
      }
      await attempt(curves, drawCurves);
    }

    async function drawCurves() {
      const pair = selects.map((select) => select.value);
      const [a, b] = await Promise.all(pair.map((name) => readMetrics(`${base}${name}/metrics.jsonl`)));
      if (pair.some((name, n) => name !== selects[n].value)) return; // others were chosen meanwhile
      curves.replaceChildren();
      const note = "A loss per token cannot be compared between two tokenizers: longer tokens are harder to guess.";
      for (const [key, title, words] of [["bits_per_byte", "Bits per byte", ""], ["validation_loss", "Validation loss, nats per token", note]]) {
        const lines = [points(a, key), points(b, key)];
        if (!lines.every((line) => line.length)) continue;
        const steps = [...new Set(lines.flat().map(([step]) => step))].sort((one, other) => one - other);
        const cells = (step) => lines.map((line) => make("td", {}, line.find(([at]) => at === step)?.[1].toFixed(4) ?? ""));
        curves.append(make("h3", {}, title), make("p", { className: "cohort-small" },
          make("span", { className: "cohort-key cohort-a" }), ` A: ${pair[0]} `,
          make("span", { className: "cohort-key cohort-b" }), ` B: ${pair[1]}. ${words}`),
          chart(lines, `${title} by step, of ${pair.join(" and ")}`, Math.max(300, Math.min(760, curves.clientWidth))),
          make("details", {}, make("summary", {}, "As a table"), make("table", {},
            make("thead", {}, make("tr", {}, ...["Step", "A", "B"].map((one) => make("th", { scope: "col" }, one)))),
            make("tbody", {}, ...steps.map((step) => make("tr", {}, make("th", { scope: "row" }, step), ...cells(step)))))));
      }
      if (!curves.children.length) curves.append("These two have no measure in common.");
    }

    async function write() { // both at once, in turns
      await Promise.all(SIDES.map((side, n) => attempt(places[n], async () => {
        const { folder, live } = chosen(n);
        if (!live) return;
        if (!pens[side]) {
          pens[side] = writer(await model(places[n], `${base}${folder}/`), values, `What ${folder} wrote`);
          places[n].replaceChildren(pens[side].place);
        }
        await pens[side].write(field.value);
      })));
    }

    const button = (words, onclick) => make("button", { type: "button", className: "md-button", onclick }, words);
    box.replaceChildren(
      make("div", { className: "cohort-row" }, ...selects.map((select, n) => make("label", {}, SIDES[n].toUpperCase(), select))),
      said, label, row, make("div", { className: "cohort-row" }, button("Write both", write),
        button("Stop", () => Object.values(pens).forEach((pen) => pen.stop()))),
      make("div", { className: "cohort-pair" }, ...places.map((place, n) => make("section", {}, titles[n], place))), curves);
    await changed();
  };
})();
