// What the parts of a showcase's page share. A part is an element that says without JavaScript what would be there:
//
//   <div data-cohort="talk" data-files="./" data-prompt="The ">This model can be tried …</div>
//
// talk.js, merges.js, attention.js and compare.js each put a function into cohort.parts, which fills such an element.
// Whatever comes from a file or from a model is put in as text, never as HTML.
(() => {
  "use strict";
  const AUTOMATIC = 2e6; // bytes: a larger model waits for a click, and so does each one where the visitor saves data
  const MOST = 1 << 26; // bytes of a file
  const cohort = globalThis.cohort, parts = (cohort.parts = {});

  function make(tag, facts = {}, ...inside) { // make("p.small", {title: "…"}, "text", other elements)
    const [name, ...classes] = tag.split("."), made = document.createElement(name);
    if (classes.length) made.className = classes.join(" ");
    for (const [key, value] of Object.entries(facts))
      key in made ? (made[key] = value) : made.setAttribute(key, value);
    made.append(...inside);
    return made;
  }

  const button = (words, onclick) => make("button.md-button", { type: "button", onclick }, words);
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
  const pause = () => new Promise((done) => setTimeout(done)); // the page draws, and hears of clicks

  // --- files: each is fetched once, whichever parts need it

  async function fetched(url, told = () => {}) { // -> its bytes
    const name = url.split("/").at(-1), refuse = (what) => cohort.refuse(`${name} ${what}`), pieces = [];
    if (location.protocol === "file:") refuse("cannot be read by a page from a disk. Open it with: cohort site serve");
    const lost = () => refuse("did not arrive. Load the page again");
    const answer = await fetch(url).catch(lost), reader = answer.body.getReader();
    if (!answer.ok) refuse(`is not there (${answer.status})`);
    for (let length = 0; ;) {
      const { done, value } = await reader.read().catch(lost);
      if (done) return new Uint8Array(await new Blob(pieces).arrayBuffer());
      if ((length += value.length) > MOST) refuse("is too large");
      pieces.push(value);
      told(length);
    }
  }

  const text = async (url) => new TextDecoder().decode(await fetched(url));
  const once = (work) => { let kept; return () => (kept ??= work()); };
  const folders = new Map();

  function folder(base) { // the files of one entry
    if (folders.has(base)) return folders.get(base);
    const card = once(async () => JSON.parse(await text(`${base}model.json`)));
    const checked = async (name, told) => { // the file that model.json means
      const expected = (await card())?.files?.[name]?.sha256, bytes = await fetched(base + name, told);
      if (!expected || !globalThis.crypto?.subtle) return bytes; // there is none on http://, but on one's own machine
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const found = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return found === expected ? bytes : cohort.refuse(`${name} is not the one of model.json: its SHA-256 differs`);
    };
    const made = { card, told: new Set() };
    made.weights = once(() => checked("model.safetensors", (length) => made.told.forEach((tell) => tell(length))));
    made.tokenizer = once(async () => cohort.tokenizer(new TextDecoder().decode(await checked("tokenizer.json"))));
    made.asked = new Promise((ask) => { made.ask = ask; });
    folders.set(base, made);
    return made;
  }

  async function load(box, base) { // -> {model, tokenizer}. Until then the box has a button, or says how far it is
    const files = folder(base), size = Number((await files.card())?.files?.["model.safetensors"]?.bytes) || 0;
    const words = "the model, " + (size ? `${(size / 1e6).toFixed(size < 1e6 ? 2 : 1)} MB` : "of unknown size");
    if (size && size <= AUTOMATIC && !navigator.connection?.saveData) files.ask();
    box.replaceChildren(button(`Load ${words}`, files.ask));
    await files.asked;
    const bar = make("progress", { max: size || MOST, value: 0, "aria-label": "Loading" });
    box.replaceChildren(make("p", { role: "status" }, `Loading ${words} `, bar));
    files.told.add((length) => { bar.value = length; });
    const [tokenizer, bytes] = await Promise.all([files.tokenizer(), files.weights()]);
    const model = cohort.load(bytes); // each part has a model of its own, with a text of its own
    if (tokenizer.vocabSize > model.shape.vocab_size) cohort.refuse("The tokenizer has more tokens than the model");
    return { model, tokenizer };
  }

  // --- tokens, as they are shown

  const MARKS = { " ": "·", "\n": "↵", "\t": "⇥" };
  const hex = (number, digits) => number.toString(16).toUpperCase().padStart(digits, "0");
  const code = (letter) => `U+${hex(letter.codePointAt(0), 4)}`;
  const visible = (some) => some.replace(/[\p{C}\p{Z}]/gu, (letter) => MARKS[letter] ?? `⟨${code(letter)}⟩`);

  function shown(tokenizer, id) { // "·the", or the bytes of a token that is no whole character
    const bytes = tokenizer.bytes(id), piece = tokenizer.piece(id);
    if (id === tokenizer.unknown || !bytes.length) return `⟨token ${id}⟩`;
    return piece.includes("\ufffd") ? `⟨${bytes.map((byte) => hex(byte, 2)).join(" ")}⟩` : visible(piece);
  }

  function encode(tokenizer, prompt) { // -> ids, or an Error that a visitor understands
    const ids = tokenizer.encode(prompt);
    if (!ids.length) cohort.refuse("The prompt is empty, so nothing predicts the first token");
    if (!ids.includes(tokenizer.unknown)) return ids;
    const strange = new Set(Array.from(prompt).filter((_, n) => ids[n] === tokenizer.unknown));
    const named = Array.from(strange, (letter) => `“${visible(letter)}” (${code(letter)})`).slice(0, 5).join(", ");
    return cohort.refuse(`The model does not know ${named}: the text that it learned from had none`);
  }

  // One of several tokens is chosen, by a click or by the arrow keys; the Tab key goes past all of them.
  function choosable(holder, selector, chosen) {
    const all = () => [...holder.querySelectorAll(selector)];
    const choose = (next) => {
      for (const other of all()) other.tabIndex = other === next ? 0 : -1;
      next.focus();
      chosen(all().indexOf(next));
    };
    holder.onclick = ({ target }) => target.closest(selector) && choose(target.closest(selector));
    holder.onkeydown = (event) => {
      const at = all().indexOf(document.activeElement), last = all().length - 1;
      const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: last,
                   Enter: at, " ": at }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      choose(all()[Math.min(last, Math.max(0, to))]);
    };
  }

  async function attempt(place, work) { // what goes wrong is said at that place
    try {
      return await work();
    } catch (error) {
      place.replaceChildren(make("span.alert", { role: "alert" }, `${error.message}.`));
    }
  }

  cohort.page = { make, button, percent, pause, text, folder, load, shown, encode, choosable, attempt };
  addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-cohort]"))
      if (parts[box.dataset.cohort]) attempt(box, () => parts[box.dataset.cohort](box));
  });
})();
