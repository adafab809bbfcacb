// Text to ids and back, as Python does it:  const it = cohort.tokenizer(text);  it.decode(it.encode("The cat"))
// For looking at it: it.encode(text, 12) knows the first 12 of it.merges only, it.bytes(id) is what a token stands for.
// Each of the merges is three ids: two tokens, and what they become.
//
// `text` is a run's tokenizer.json: the alphabet of a character tokenizer, or a byte-level BPE in Hugging Face's format
// (cohort_cli/training/data/tokenizer.py and cohort_cli/tokens/formats.py write both). Everything else is an Error. A
// regular expression from a file would be code that runs at the visitor's, so only GPT-2's own is known, by its name.
(() => {
  "use strict";
  const MOST_TEXT = 1 << 24, MOST_TOKENS = 1 << 20, END_OF_TEXT = "<|endoftext|>", UNKNOWN = "\ufffd";
  const WORDS = new RegExp(
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|" +
    "\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+", "gu"); // JavaScript's \s is another one than Python's
  const GPT2 = [
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  ];
  const refuse = (message) => { throw new Error(message); };
  const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isId = (value) => Number.isInteger(value) && value >= 0 && value < MOST_TOKENS;

  function tokenizer(text) { // -> {vocabSize, endOfText, unknown, merges, encode, decode, piece, bytes}
    if (typeof text !== "string" || text.length > MOST_TEXT) refuse("the tokenizer's file is too long");
    let table;
    try {
      table = JSON.parse(text);
    } catch (error) {
      refuse("the tokenizer's file is no JSON");
    }
    if (!isTable(table)) refuse("the tokenizer's file is no JSON object");
    if (table.schema === "cohort.alphabet/1" && typeof table.alphabet === "string") return characters(table.alphabet);
    if (table.schema === "cohort.alphabet/1") refuse(`the file holds no vocabulary of the kind ${table.kind}`);
    return bytePairs(table);
  }

  function characters(alphabet) { // an id for each character; all others share the last one
    const letters = [...new Set(alphabet)].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));
    const ids = new Map(letters.map((letter, id) => [letter, id])), unknown = letters.length;
    const piece = (id) => letters[id] ?? (id === unknown ? UNKNOWN : "");
    return {
      vocabSize: unknown + 1, endOfText: null, unknown, merges: [], piece,
      bytes: (id) => [...new TextEncoder().encode(piece(id))],
      encode: (text) => Array.from(text, (letter) => ids.get(letter) ?? unknown),
      decode: (some) => Array.from(some, piece).join(""),
    };
  }

  const letterOf = []; // GPT-2's printable character for each byte: its own, or the next one from U+0100 on
  const byteOf = new Map();
  for (let byte = 0, next = 256; byte < 256; byte++) {
    const own = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    letterOf.push(String.fromCharCode(own ? byte : next++));
    byteOf.set(letterOf[byte], byte);
  }

  function bytePairs(table) {
    const { vocab, special } = readVocab(table), ranks = readMerges(table.model.merges, vocab);
    const cut = readCut(table.pre_tokenizer), encoder = new TextEncoder();
    const bytes = []; // of each id
    for (const [token, id] of [...vocab, ...special]) {
      const own = Array.from(token, (letter) => byteOf.get(letter));
      bytes[id] = own.includes(undefined) ? [...encoder.encode(token)] : own;
    }
    const read = (some) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(some));
    const encode = (text, most) => cut(text).flatMap((word) => {
      const letters = Array.from(encoder.encode(word), (byte) => letterOf[byte]);
      return merged(letters, ranks, most).map((token) => vocab.get(token));
    });
    return {
      vocabSize: bytes.length, endOfText: special.get(END_OF_TEXT) ?? vocab.get(END_OF_TEXT) ?? null, unknown: null,
      encode, decode: (some) => read(Array.from(some).flatMap((id) => bytes[id] ?? [])),
      piece: (id) => read(bytes[id] ?? []), bytes: (id) => bytes[id] ?? [],
      merges: Array.from(ranks.keys(), (pair) => [...pair.split(" "), pair.replace(" ", "")].map((it) => vocab.get(it))),
    };
  }

  function merged(parts, ranks, most = Infinity) { // all pairs of the lowest rank become one, until none is below `most`
    while (parts.length > 1) {
      let best = "", lowest = most;
      for (let i = 1; i < parts.length; i++) {
        const pair = `${parts[i - 1]} ${parts[i]}`, rank = ranks.get(pair) ?? Infinity;
        if (rank < lowest) [best, lowest] = [pair, rank];
      }
      if (!best) break;
      const next = [];
      for (let i = 0; i < parts.length; i++) {
        const joined = i + 1 < parts.length && `${parts[i]} ${parts[i + 1]}` === best;
        next.push(joined ? parts[i] + parts[++i] : parts[i]);
      }
      parts = next;
    }
    return parts;
  }

  // --- tokenizer.json ---------------------------------------------------------------------------------------------

  function readVocab({ model, added_tokens: added = [], normalizer, truncation, padding, post_processor: post }) {
    if (normalizer ?? truncation ?? padding ?? null) refuse("the tokenizer changes its text, which this one cannot follow");
    if (post && post.type !== "ByteLevel") refuse("the tokenizer adds tokens to a text, which this one cannot follow");
    if (!isTable(model) || model.type !== "BPE" || !isTable(model.vocab)) refuse("the tokenizer is no byte-level BPE");
    for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
                       "ignore_merges", "unk_token"])
      if (model[key]) refuse(`the tokenizer has ${key}, which this one cannot follow`);
    const vocab = new Map(Object.entries(model.vocab)), special = new Map();
    if (!Array.isArray(added)) refuse("the added tokens are no list");
    for (const token of added) {
      if (!isTable(token) || typeof token.content !== "string" || !isId(token.id)) refuse("an added token is no token");
      if (vocab.has(token.content) && vocab.get(token.content) !== token.id) refuse("an added token has two ids");
      special.set(token.content, token.id);
      vocab.delete(token.content);
    }
    const ids = [...vocab.values(), ...special.values()];
    if (!ids.every(isId) || new Set(ids).size < ids.length) refuse("the ids of the vocabulary are not right");
    for (const letter of letterOf) if (!vocab.has(letter)) refuse("the vocabulary lacks a byte");
    return { vocab, special };
  }

  function readMerges(merges, vocab) { // -> Map "left right" -> its rank
    if (!Array.isArray(merges)) refuse("the merges are no list");
    const ranks = new Map(), made = new Set(letterOf);
    for (const [rank, line] of merges.entries()) {
      const pair = typeof line === "string" ? line.split(" ") : line;
      if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((half) => made.has(half)))
        refuse(`merge ${rank} is not of two tokens that are made before it`);
      if (!vocab.has(pair[0] + pair[1])) refuse(`the vocabulary lacks what merge ${rank} makes`);
      ranks.set(pair.join(" "), rank);
      made.add(pair[0] + pair[1]);
    }
    return ranks;
  }

  function readCut(rule) { // -> a function that cuts a text into words
    const steps = rule?.type === "Sequence" ? rule.pretokenizers : [rule];
    const last = Array.isArray(steps) ? steps.at(-1) : null;
    if (last?.type !== "ByteLevel" || last.add_prefix_space !== false) refuse("the tokenizer is no byte-level BPE");
    const words = (text) => text.match(WORDS) ?? [];
    if (steps.length === 1) return last.use_regex === false ? (text) => (text ? [text] : []) : words;
    const [split] = steps, known = GPT2.includes(split?.pattern?.Regex);
    const plain = steps.length === 2 && split?.type === "Split" && split.behavior === "Isolated" && !split.invert;
    if (!plain || !known || last.use_regex !== false) refuse("the tokenizer cuts words by a pattern that is not GPT-2's");
    return words;
  }

  globalThis.cohort = globalThis.cohort || {};
  globalThis.cohort.tokenizer = tokenizer;
})();
