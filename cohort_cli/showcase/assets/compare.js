// Two entries beside each other: their curves, and what their models write on one prompt with one seed. What is compared
// stands in the address (#a=…&b=…), so that it can be sent to somebody. Needs talk.js.
(() => {
  "use strict";
  const MOST_POINTS = 100, HEIGHT = 260, LEFT = 46, RIGHT = 26, TOP = 10, BOTTOM = 40;
  const NAME = /^[A-Za-z0-9][\w.]*-[\w.-]*$/; // of a folder: no way leads out of the gallery
  const { cohort } = globalThis, { make, load, text, attempt } = cohort.page;
  const MEASURES = {
    bits_per_byte: ["Bits per byte", ""],
    validation_loss: ["Validation loss, nats per token",
                      "Two tokenizers' losses per token cannot be compared: a longer token is harder to guess."],
  };

  function points(rows, key) { // [[step, value], …]
    const all = rows.map((row) => [row?.step, row?.[key]]).filter((point) => point.every(Number.isFinite));
    const every = Math.ceil(all.length / MOST_POINTS);
    return all.filter((_, n) => n % every === 0 || n === all.length - 1);
  }

  function marks(low, high) { // round numbers around both
    const size = Math.max(Math.abs(low), Math.abs(high)), apart = high - low > 1e-9 * size ? high - low : size;
    const about = (apart > 1e-290 ? apart : 1) / 4, power = 10 ** Math.floor(Math.log10(about));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= about * 0.999);
    const first = Math.floor(low / step), count = Math.max(1, Math.ceil(high / step) - first);
    return Array.from({ length: count + 1 }, (_, n) => Number(((first + n) * step).toPrecision(9)));
  }

  function chart(lines, title, width) {
    const draw = (tag, facts, words = "") => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value);
      made.append(words);
      return made;
    };
    const [steps, values] = [0, 1].map((axis) => lines.flat().map((point) => point[axis]));
    const across = marks(0, Math.max(...steps)), up = marks(Math.min(...values), Math.max(...values));
    const share = (all, value) => (value - all[0]) / (all.at(-1) - all[0]);
    const x = (step) => LEFT + share(across, step) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - share(up, value) * (HEIGHT - BOTTOM - TOP);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" });
    for (const value of up)
      svg.append(draw("path", { d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
                 draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value));
    for (const step of across)
      svg.append(draw("text", { x: x(step), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, step));
    svg.append(draw("text", { x: (LEFT + width) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "step"));
    for (const [n, line] of lines.entries())
      svg.append(draw("path", { class: "ab"[n], d: "M" + line.map((at) => [x(at[0]), y(at[1])]).join("L") }));
    return svg;
  }

  function table(lines) { // the numbers behind a chart
    const [a, b] = lines.map((line) => new Map(line));
    const steps = [...new Set([...a.keys(), ...b.keys()])].sort((one, other) => one - other);
    const row = (kind, first, ...others) => make("tr", {}, make("th", { scope: kind }, first),
      ...others.map((value) => make(kind === "col" ? "th" : "td", {}, value?.toFixed?.(4) ?? value ?? "")));
    return make("details", {}, make("summary", {}, "As a table"), make("table", {},
      make("thead", {}, row("col", "Step", "A", "B")),
      make("tbody", {}, ...steps.map((step) => row("row", step, a.get(step), b.get(step))))));
  }

  cohort.parts.compare = async (box) => {
    const found = JSON.parse(await text(box.dataset.list)), all = found?.entries?.length ? found.entries : found;
    const list = Array.isArray(all) ? all.filter((entry) => NAME.test(entry?.folder)) : [], { base } = box.dataset;
    if (list.length < 2) cohort.refuse("There are no two entries to compare yet");
    const said = make("p", { role: "status" }), curves = make("div");
    const address = new URLSearchParams(location.hash.slice(1));

    const sides = ["a", "b"].map((key, n) => {
      const place = make("div"), title = make("h3"), wanted = address.get(key);
      const select = make("select", { onchange: change }, ...list.map((entry) =>
        make("option", { value: entry.folder }, `${entry.title} (${entry.folder})`)));
      select.selectedIndex = list.findIndex(({ folder }) => folder === wanted);
      if (wanted && select.selectedIndex < 0) said.append(`There is no entry “${wanted.slice(0, 80)}” here. `);
      if (select.selectedIndex < 0) select.selectedIndex = n;
      const side = { key, place, title, select, pen: null, stop: () => side.pen?.stop(), clear: () => side.pen?.clear(),
                     refresh: (values) => side.pen?.refresh(values) };
      side.write = (values, prompt) => attempt(place, async () => {
        const { folder, live } = list[select.selectedIndex];
        if (!live) return;
        if (!side.pen) {
          const loaded = await load(place, `${base}${folder}/`);
          if (list[select.selectedIndex].folder !== folder) return; // another one was chosen meanwhile
          side.pen = cohort.writing.writer(loaded, `What ${folder} wrote`);
          place.replaceChildren(side.pen.place);
        }
        await side.pen.write(values, prompt);
      });
      return side;
    });

    async function change() {
      for (const side of sides) {
        const { folder, live } = list[side.select.selectedIndex];
        if (side.folder === folder) continue;
        side.stop();
        Object.assign(side, { folder, pen: null });
        side.title.textContent = `${side.key.toUpperCase()}: ${folder}`;
        side.place.replaceChildren(live ? "" : "There is no live model of this one.");
      }
      const pair = sides.map(({ folder }) => folder);
      history.replaceState(null, "", `#a=${pair[0]}&b=${pair[1]}`);
      await attempt(curves, () => drawCurves(pair));
    }

    async function drawCurves(pair) {
      const texts = await Promise.all(pair.map((folder) => text(`${base}${folder}/metrics.jsonl`)));
      if (pair.some((folder, n) => folder !== sides[n].folder)) return;
      const runs = texts.map((all) => all.split("\n").filter(Boolean).map((line) => JSON.parse(line)));
      curves.replaceChildren();
      for (const [key, [title, note]] of Object.entries(MEASURES)) {
        const lines = runs.map((rows) => points(rows, key));
        if (!lines.every((line) => line.length)) continue;
        const width = Math.max(300, Math.min(760, box.clientWidth));
        curves.append(make("h3", {}, title), make("p.small", {}, make("span.key"), ` A: ${pair[0]}. `,
          make("span.key.b"), ` B: ${pair[1]}. ${note}`),
          chart(lines, `${title}, of ${pair.join(" and ")}`, width), table(lines));
      }
      if (!curves.children.length) curves.append("The two have no measure in common.");
    }

    box.replaceChildren(
      make("div.pair", {}, ...sides.map(({ key, select }) => make("label", {}, key.toUpperCase(), select))), said,
      cohort.writing.form(box.dataset.prompt || "The ", () => sides),
      make("div.pair", {}, ...sides.map(({ title, place }) => make("section", {}, title, place))), curves);
    await change();
  };
})();
