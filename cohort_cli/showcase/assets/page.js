// What the parts of a showcase's page share. A part is an element that says without JavaScript what would be there:
//
//   <div data-cohort="talk" data-files="./" data-prompt="The ">This model can be tried …</div>
//
// The scripts talk.js, merges.js, attention.js and compare.js each put a function into cohort.parts; it fills the element.
// Everything that comes from a file or from a model is put in as text, never as HTML.
(() => {
  "use strict";
  const AUTOMATIC = 2e6; // bytes: a larger model waits for a click, and so does each one where the visitor saves data
  const LIMITS = { "model.json": 1 << 16, "tokenizer.json": 1 << 22, "model.safetensors": 1 << 26 };
  const cohort = (globalThis.cohort = globalThis.cohort || {});
  const parts = (cohort.parts = cohort.parts || {});

  function make(tag, facts = {}, ...inside) { // an element with these properties or attributes
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(facts)) name in made ? (made[name] = value) : made.setAttribute(name, value);
    made.append(...inside);
    return made;
  }

  const megabytes = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
  const pause = () => new Promise((done) => setTimeout(done)); // the page draws, and hears of clicks

  // --- files: each is fetched once, whichever parts need it -----------------------------------------------------------

  async function fetched(url, most, told = () => {}) { // -> its bytes
    const name = url.split("/").at(-1), pieces = [];
    const fail = (what) => { throw new Error(`${name} ${what}`); };
    if (location.protocol === "file:") fail("cannot be read by a page from a disk. Open the site with: cohort site serve");
    const answer = await fetch(url).catch(() => fail("could not be fetched. Load the page again"));
    if (!answer.ok) fail(`is not there (the server said ${answer.status})`);
    let length = 0;
    for (const reader = answer.body.getReader(); ;) {
      const { done, value } = await reader.read().catch(() => fail("came only in part. Load the page again"));
      if (done) return new Uint8Array(await new Blob(pieces).arrayBuffer());
      if ((length += value.length) > most) fail(`has more than ${megabytes(most)}`);
      pieces.push(value);
      told(length);
    }
  }

  const text = (bytes) => new TextDecoder().decode(bytes);
  const once = (work) => { let kept; return () => (kept ??= work()); };
  const folders = new Map();

  function folder(base) { // the files of one entry
    if (folders.has(base)) return folders.get(base);
    const told = new Set();
    const card = once(async () => JSON.parse(text(await fetched(`${base}model.json`, LIMITS["model.json"]))));
    const checked = async (name) => { // the file that model.json means, or an Error
      const expected = (await card())?.files?.[name]?.sha256;
      const bytes = await fetched(base + name, LIMITS[name], (length) => told.forEach((tell) => tell(name, length)));
      if (expected && globalThis.crypto?.subtle) { // not on http://, other than one's own machine
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        const found = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
        if (found !== expected) throw new Error(`${name} is not the file that model.json names: its SHA-256 is another one`);
      }
      return bytes;
    };
    const made = { card, told, weights: once(() => checked("model.safetensors")) };
    made.tokenizer = once(async () => cohort.tokenizer(text(await checked("tokenizer.json"))));
    made.asked = new Promise((ask) => { made.ask = ask; });
    folders.set(base, made);
    return made;
  }

  async function model(box, base) { // -> {model, tokenizer}. Meanwhile the box says how far it is, or has a button
    const files = folder(base), size = Number((await files.card())?.files?.["model.safetensors"]?.bytes) || 0;
    if (size && size <= AUTOMATIC && !navigator.connection?.saveData) files.ask();
    const words = `the model${size ? `, ${megabytes(size)}` : ""}`;
    box.replaceChildren(make("button", { type: "button", className: "md-button", onclick: files.ask }, `Load ${words}`));
    await files.asked;
    const bar = make("progress", { max: size || 1, value: 0, "aria-label": `Loading ${words}` });
    const tell = (name, length) => { if (name === "model.safetensors") bar.value = length; };
    box.replaceChildren(make("p", { role: "status" }, `Loading ${words}. `, bar));
    files.told.add(tell);
    const [tokenizer, bytes] = await Promise.all([files.tokenizer(), files.weights()]);
    files.told.delete(tell);
    const loaded = cohort.load(bytes); // each part has a model of its own, with a text of its own
    if (tokenizer.vocabSize > loaded.shape.vocab_size) throw new Error("The tokenizer has more tokens than the model");
    return { model: loaded, tokenizer };
  }

  // --- tokens, as they are shown --------------------------------------------------------------------------------------

  const MARKS = { " ": "·", "\n": "↵", "\t": "⇥" };
  const code = (letter) => `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  const visible = (some) => some.replace(/[\p{C}\p{Z}]/gu, (letter) => MARKS[letter] ?? `⟨${code(letter)}⟩`);

  function shown(tokenizer, id) { // “·the”, or the bytes of a token that is no whole character
    const bytes = Uint8Array.from(tokenizer.bytes(id));
    if (id === tokenizer.unknown || !bytes.length) return `⟨${id === tokenizer.unknown ? "another character" : id}⟩`;
    try {
      return visible(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch (error) {
      return `⟨${Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ")}⟩`;
    }
  }

  function encode(tokenizer, prompt) { // -> ids, or an Error that a visitor understands
    const ids = tokenizer.encode(prompt);
    if (!ids.length) throw new Error("The prompt is empty, so nothing predicts the first token.");
    const strange = new Set(tokenizer.unknown === null ? [] : Array.from(prompt).filter((_, i) => ids[i] === tokenizer.unknown));
    const named = Array.from(strange, (letter) => `“${visible(letter)}” (${code(letter)})`).slice(0, 5).join(", ");
    if (strange.size) throw new Error(`The model's tokenizer does not know ${named}: its training text had none.`);
    return ids;
  }

  // One of several tokens can be chosen, by a click or by the arrow keys; the Tab key goes past all of them.
  function choosable(holder, selector, chosen) {
    const choose = (next) => {
      for (const other of holder.querySelectorAll(selector)) other.tabIndex = other === next ? 0 : -1;
      next.focus();
      chosen([...holder.querySelectorAll(selector)].indexOf(next), next);
    };
    holder.addEventListener("click", (event) => {
      const next = event.target.closest(selector);
      if (next) choose(next);
    });
    holder.addEventListener("keydown", (event) => {
      const all = [...holder.querySelectorAll(selector)], at = all.indexOf(document.activeElement), last = all.length - 1;
      const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: last,
                   Enter: at, " ": at }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      choose(all[Math.min(last, Math.max(0, to))]);
    });
  }

  // --- start ------------------------------------------------------------------------------------------------------------

  const sentence = (error) => `${String(error?.message ?? error).replace(/\.$/, "")}.`;

  async function attempt(place, work) { // what goes wrong is said at that place
    try {
      return await work();
    } catch (error) {
      place.replaceChildren(make("span", { role: "alert", className: "cohort-alert" }, sentence(error)));
    }
  }

  function start() {
    for (const box of document.querySelectorAll("[data-cohort]"))
      if (Object.hasOwn(parts, box.dataset.cohort)) attempt(box, () => parts[box.dataset.cohort](box));
  }

  cohort.page = { make, percent, pause, fetched, text, folder, model, visible, shown, encode, choosable, attempt };
  document.readyState === "complete" ? start() : addEventListener("DOMContentLoaded", start);
})();
