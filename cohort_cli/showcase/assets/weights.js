// Reads model.safetensors for engine.js: an architecture and its tensors, or an Error that says what is wrong.
//
// Matrices are int8 with one float32 scale a row ("NAME" and "NAME.scale"), or float32; names and shapes are those of
// cohort_cli/training/models/gpt.py. The file is not trusted: nothing is computed from a number of its header before
// that number was compared with what the architecture's own sizes say it must be.
(() => {
  "use strict";
  const FORMAT = "cohort.browser-model/1";
  const MOST_HEADER = 1 << 20; // bytes
  const FLAGS = {
    format: [FORMAT], positions: ["learned", "rope"], norm: ["layernorm", "rmsnorm"], qk_norm: ["no", "yes"],
    activation: ["gelu", "relu2"], bias: ["no", "yes"], tied: ["no", "yes"],
  };
  const SIZES = { vocab_size: 1 << 20, context: 1 << 20, n_layers: 1000, n_heads: 1000, d_model: 1 << 16, d_ff: 1 << 18 };
  const refuse = (message) => { throw new Error(message); };

  function readHeader(bytes) { // -> [Map name -> entry, where the tensors begin]
    if (bytes.length < 8) refuse(`the file has ${bytes.length} bytes, which is no safetensors file`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    const length = view.getUint32(0, true);
    if (view.getUint32(4, true) || length > MOST_HEADER || length > bytes.length - 8) refuse("the header is too long");
    let table;
    try {
      table = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
    } catch (error) {
      refuse("the header is no JSON");
    }
    if (!isTable(table)) refuse("the header is no JSON object");
    return [new Map(Object.entries(table)), 8 + length];
  }

  const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

  function readShape(flags) { // the header's __metadata__ -> sizes as numbers, switches as texts
    if (!isTable(flags)) refuse("the header says nothing about the architecture (__metadata__)");
    const shape = {};
    for (const [key, value] of Object.entries(flags)) {
      if (Object.hasOwn(FLAGS, key)) {
        if (!FLAGS[key].includes(value)) refuse(`this engine knows no ${key} = ${show(value)}`);
        shape[key] = value;
      } else if (Object.hasOwn(SIZES, key)) {
        if (typeof value !== "string" || !/^[1-9][0-9]{0,6}$/.test(value) || Number(value) > SIZES[key])
          refuse(`${key} is ${show(value)}; it must be from 1 to ${SIZES[key]}`);
        shape[key] = Number(value);
      } else refuse(`this engine does not know the flag ${show(key)}`);
    }
    for (const key of [...Object.keys(FLAGS), ...Object.keys(SIZES)])
      if (!Object.hasOwn(shape, key)) refuse(`the header lacks the flag ${key}`);
    const head = shape.d_model / shape.n_heads;
    if (!Number.isInteger(head)) refuse("n_heads does not divide d_model");
    if (shape.positions === "rope" && head % 2) refuse("rotary positions turn pairs, and a head has an odd size");
    return shape;
  }

  const show = (value) => String(JSON.stringify(value)).slice(0, 60);

  function expected(shape) { // Map name -> shape, of every tensor that this architecture has
    const { d_model: C, d_ff: F, vocab_size: V } = shape, found = new Map([["wte.weight", [V, C]]]);
    const add = (name, ...sizes) => {
      found.set(`${name}.weight`, sizes);
      const isNorm = sizes.length === 1;
      if (shape.bias === "yes" && !(isNorm && shape.norm === "rmsnorm")) found.set(`${name}.bias`, [sizes[0]]);
    };
    if (shape.positions === "learned") found.set("wpe.weight", [shape.context, C]);
    for (let layer = 0; layer < shape.n_layers; layer++) {
      add(`h.${layer}.ln_1`, C), add(`h.${layer}.attn.c_attn`, 3 * C, C), add(`h.${layer}.attn.c_proj`, C, C);
      add(`h.${layer}.ln_2`, C), add(`h.${layer}.mlp.c_fc`, F, C), add(`h.${layer}.mlp.c_proj`, C, F);
    }
    add("ln_f", C);
    if (shape.tied === "no") found.set("lm_head.weight", [V, C]);
    return found;
  }

  function readTensors(bytes) { // -> {shape, tensors: Map name -> {dtype, shape, bytes}}
    const [header, begin] = readHeader(bytes), shape = readShape(header.get("__metadata__"));
    header.delete("__metadata__");
    const tensors = new Map(), places = [];
    const take = (name, dtype, sizes) => {
      const entry = header.get(name);
      const wrong = () => refuse(`the tensor ${name} is not what the architecture says: ${dtype} [${sizes}]`);
      if (!isTable(entry) || entry.dtype !== dtype || !Array.isArray(entry.shape)) wrong();
      if (entry.shape.length !== sizes.length || sizes.some((size, i) => entry.shape[i] !== size)) wrong();
      const length = sizes.reduce((a, b) => a * b, dtype === "F32" ? 4 : 1), offsets = entry.data_offsets;
      if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(Number.isSafeInteger)) wrong();
      if (offsets[0] < 0 || offsets[1] - offsets[0] !== length || offsets[1] > bytes.length - begin) wrong();
      places.push(offsets);
      tensors.set(name, { dtype, shape: sizes, bytes: bytes.slice(begin + offsets[0], begin + offsets[1]) });
      header.delete(name);
    };
    for (const [name, sizes] of expected(shape)) {
      if (!header.has(name)) refuse(`the tensor ${name} is missing`);
      const whole = sizes.length === 1 || header.get(name)?.dtype === "F32";
      take(name, whole ? "F32" : "I8", sizes);
      if (!whole) take(`${name}.scale`, "F32", [sizes[0]]);
    }
    for (const name of header.keys()) refuse(`this engine does not know the tensor ${show(name)}`);
    places.sort((a, b) => a[0] - b[0]);
    const end = places.reduce((at, place) => (place[0] === at ? place[1] : refuse("tensors overlap, or leave gaps")), 0);
    if (end !== bytes.length - begin) refuse("the file goes on behind its tensors");
    return { shape, tensors };
  }

  globalThis.cohort = globalThis.cohort || {};
  Object.assign(globalThis.cohort, { FORMAT, readTensors, refuse, show });
})();
