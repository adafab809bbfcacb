// A GPT in a web page: reads model.safetensors, and computes the next token's logits. No dependency.
//
//   const model = cohort.load(bytes);                       // Error with a message for every file that is not right
//   const logits = model.feed([5, 3, 8]);                   // a prompt; afterwards one token at a time
//   cohort.probabilities(logits, 0.8, 40);                  // what could come next
//   for (const step of model.generate(ids, { tokens: 60, temperature: 0.8, topK: 40, seed: 1 })) step.id;
//   model.attention(layer, head);                           // who looked at whom: T rows of T numbers
//
// The network is that of cohort_cli/training/models/gpt.py, with all its switches. Plain scripts, so that they work from
// file:// too: weights.js, sampling.js, then this one; engine.mjs offers the same as a module. With kernel.js as well,
// products run in WebAssembly; without, or where a page may not compile it, in JavaScript.
(() => {
  "use strict";
  const EPS = 1e-5, GROUP = 4; // tokens of a prompt that go through together
  const MOST_MEMORY = 1 << 29; // bytes, with keys and values
  const padded = (width) => Math.ceil(width / 8) * 8, even = (rows) => rows + (rows & 1);
  const cohort = (globalThis.cohort = globalThis.cohort || {});
  const { refuse, show, softmax, sample, random } = cohort;

  // --- memory and products: one memory for weights and activations, which the kernel sees too -----------------------

  class Memory {
    constructor(size, wantKernel) {
      this.end = 0;
      this.kernel = null;
      if (wantKernel && cohort.kernel) {
        try {
          const code = Uint8Array.from(atob(cohort.kernel), (letter) => letter.charCodeAt(0));
          const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536) });
          const made = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
          this.kernel = made.exports;
          this.buffer = memory.buffer;
        } catch (error) {} // no SIMD, or the page's policy forbids it
      }
      this.buffer = this.buffer || new ArrayBuffer(size);
    }

    take(Kind, length) { // the next `length` numbers, all 0, at a multiple of 16 bytes
      const made = new Kind(this.buffer, this.end, length);
      this.end += Math.ceil(made.byteLength / 16) * 16;
      return made;
    }

    rows(width) { // GROUP vectors of this width
      return { stride: padded(width), data: this.take(Float32Array, GROUP * padded(width)) };
    }

    matrix({ dtype, shape: [rows, columns], bytes }, scale) { // with a row of zeros behind an odd number of rows
      const Kind = dtype === "I8" ? Int8Array : Float32Array, stride = padded(columns);
      const from = new Kind(bytes.buffer), data = this.take(Kind, even(rows) * stride);
      for (let r = 0; r < rows; r++) data.set(from.subarray(r * columns, (r + 1) * columns), r * stride);
      const scales = this.take(Float32Array, even(rows));
      scale ? scales.set(new Float32Array(scale.bytes.buffer)) : scales.fill(1);
      return { data, scale: scales, rows, columns, stride };
    }

    product(matrix, x, y, count) { // y[t] = matrix @ x[t], for t below count
      const { data, scale, rows, stride } = matrix, kernel = data instanceof Int8Array && this.kernel;
      if (kernel && count === GROUP) {
        const places = [data.byteOffset, scale.byteOffset, x.data.byteOffset, y.data.byteOffset];
        kernel.product4(...places, even(rows), stride, 4 * x.stride, 4 * y.stride);
        return;
      }
      for (let t = 0; t < count; t++) {
        const from = t * x.stride, to = t * y.stride;
        if (kernel)
          kernel.product1(data.byteOffset, scale.byteOffset, x.data.byteOffset + 4 * from,
                          y.data.byteOffset + 4 * to, rows, stride);
        else for (let r = 0; r < rows; r++) y.data[to + r] = scale[r] * dot(data, r * stride, x.data, from, stride);
      }
    }
  }

  function dot(w, at, x, from, length) { // length is a multiple of 8
    let a = 0, b = 0, c = 0, d = 0;
    for (const end = at + length; at < end; at += 4, from += 4) {
      a += w[at] * x[from], b += w[at + 1] * x[from + 1], c += w[at + 2] * x[from + 2], d += w[at + 3] * x[from + 3];
    }
    return a + b + c + d;
  }

  // --- the network: B = 1, T tokens so far, C = d_model, H heads of D numbers --------------------------------------

  class Model {
    constructor({ shape, tensors }, wantKernel) {
      const { d_model: C, d_ff: F, n_layers: L, context } = shape;
      const size = (name, { shape: [rows, columns], dtype }) =>
        columns ? even(rows) * (padded(columns) * (dtype === "I8" ? 1 : 4) + 4) + 32 : 0;
      const cache = 3 * L * context * C * 4;
      const rows = GROUP * 4 * (4 * padded(C) + padded(3 * C) + padded(F) + padded(shape.vocab_size)) + 256;
      const weights = [...tensors].reduce((sum, [name, tensor]) => sum + size(name, tensor), rows);
      if (cache + weights > MOST_MEMORY) refuse(`the model needs ${cache + weights} bytes; ${MOST_MEMORY} are allowed`);
      const memory = (this.memory = new Memory(weights, wantKernel));
      const vector = (name) => tensors.has(name) ? new Float32Array(tensors.get(name).bytes.buffer) : null;
      const matrix = (name) => memory.matrix(tensors.get(name), tensors.get(`${name}.scale`));
      const norm = (name) => ({ gain: vector(`${name}.weight`), bias: vector(`${name}.bias`) });
      const linear = (name) => ({ ...matrix(`${name}.weight`), bias: vector(`${name}.bias`) });
      Object.assign(this, { shape, length: 0, usesKernel: memory.kernel !== null });
      this.wte = matrix("wte.weight");
      this.wpe = shape.positions === "learned" ? matrix("wpe.weight") : null;
      this.head = shape.tied === "yes" ? this.wte : matrix("lm_head.weight");
      this.lnF = norm("ln_f");
      this.blocks = Array.from({ length: L }, (_, layer) => ({
        ln1: norm(`h.${layer}.ln_1`), attn: linear(`h.${layer}.attn.c_attn`), proj: linear(`h.${layer}.attn.c_proj`),
        ln2: norm(`h.${layer}.ln_2`), fc: linear(`h.${layer}.mlp.c_fc`), back: linear(`h.${layer}.mlp.c_proj`),
        q: new Float32Array(context * C), k: new Float32Array(context * C), v: new Float32Array(context * C),
      }));
      for (const name of ["x", "normed", "mixed", "branch"]) this[name] = memory.rows(C);
      Object.assign(this, { qkv: memory.rows(3 * C), wide: memory.rows(F), logits: memory.rows(shape.vocab_size) });
      this.weights = new Float32Array(context);
    }

    reset() { // forget the text; the memory of keys and values is used again
      this.length = 0;
    }

    advance(ids) { // goes on from the text so far; nothing is said of what comes behind
      const { context, vocab_size } = this.shape;
      if (this.length + ids.length > context) refuse(`the context holds ${context} tokens`);
      for (const id of ids) if (!Number.isInteger(id) || id < 0 || id >= vocab_size) refuse(`${show(id)} is no token`);
      let count = 0;
      for (let at = 0; at < ids.length; at += count) {
        count = Math.min(GROUP, ids.length - at);
        this.group(ids.slice(at, at + count), count);
      }
      return count; // of the last group
    }

    feed(ids) { // goes on from the text so far -> the logits (V) of what comes behind the last of `ids`
      if (!ids.length) refuse("there is no token to go on from");
      const count = this.advance(ids);
      const last = { stride: 0, data: this.normed.data.subarray((count - 1) * this.normed.stride) };
      this.memory.product(this.head, last, this.logits, 1);
      return this.logits.data.slice(0, this.shape.vocab_size);
    }

    group(ids, count) { // up to GROUP tokens through all blocks; their normed outputs stand in this.normed
      const { x, normed, mixed, branch, qkv, wide, memory } = this, relu2 = this.shape.activation === "relu2";
      for (let t = 0; t < count; t++) {
        x.data.fill(0, t * x.stride, (t + 1) * x.stride);
        addRow(this.wte, ids[t], x, t);
        if (this.wpe) addRow(this.wpe, this.length + t, x, t);
      }
      for (const block of this.blocks) {
        this.normalise(x, block.ln1, normed, count);
        this.linear(block.attn, normed, qkv, count);
        for (let t = 0; t < count; t++) this.remember(block, t);
        for (let t = 0; t < count; t++) this.attend(block, t);
        this.linear(block.proj, mixed, branch, count);
        for (let i = 0; i < count * x.stride; i++) x.data[i] += branch.data[i];
        this.normalise(x, block.ln2, normed, count);
        this.linear(block.fc, normed, wide, count);
        for (let i = 0; i < count * wide.stride; i++) wide.data[i] = relu2 ? square(wide.data[i]) : gelu(wide.data[i]);
        this.linear(block.back, wide, branch, count);
        for (let i = 0; i < count * x.stride; i++) x.data[i] += branch.data[i];
      }
      this.normalise(x, this.lnF, normed, count);
      this.length += count;
    }

    linear(layer, x, y, count) {
      this.memory.product(layer, x, y, count);
      if (layer.bias)
        for (let t = 0; t < count; t++) for (let r = 0; r < layer.rows; r++) y.data[t * y.stride + r] += layer.bias[r];
    }

    normalise(x, { gain, bias }, y, count) {
      const C = this.shape.d_model, centred = this.shape.norm === "layernorm";
      for (let t = 0; t < count; t++) {
        const from = t * x.stride;
        let mean = 0, squares = 0;
        if (centred) for (let i = 0; i < C; i++) mean += x.data[from + i];
        mean /= C;
        for (let i = 0; i < C; i++) squares += (x.data[from + i] - mean) ** 2;
        const factor = 1 / Math.sqrt(squares / C + EPS);
        for (let i = 0; i < C; i++)
          y.data[from + i] = (x.data[from + i] - mean) * factor * gain[i] + (bias ? bias[i] : 0);
      }
    }

    remember(block, t) { // query, key and value of token t of the group, into the block's memory
      const { d_model: C, n_heads: H } = this.shape, D = C / H, { data, stride } = this.qkv;
      const position = this.length + t, to = position * C;
      for (const [part, kept] of [block.q, block.k, block.v].entries()) {
        const from = t * stride + part * C;
        kept.set(data.subarray(from, from + C), to);
        for (let at = to; at < to + C && part < 2; at += D) {
          if (this.shape.qk_norm === "yes") {
            const factor = 1 / Math.sqrt(dotOf(kept, at, kept, at, D) / D + EPS);
            for (let i = at; i < at + D; i++) kept[i] *= factor;
          }
          if (this.shape.positions === "rope") rotate(kept, at, D, position);
        }
      }
    }

    attend(block, t) { // what all heads take from the values -> this.mixed
      const { d_model: C, n_heads: H } = this.shape, D = C / H, { data, stride } = this.mixed, { v } = block;
      data.fill(0, t * stride, (t + 1) * stride);
      for (let head = 0; head < H; head++) {
        const weights = this.look(block, head, this.length + t), to = t * stride + head * D;
        for (let key = 0; key <= this.length + t; key++) {
          const weight = weights[key], from = key * C + head * D;
          for (let i = 0; i < D; i++) data[to + i] += weight * v[from + i];
        }
      }
    }

    look(block, head, query) { // how much the token at `query` takes from each token up to itself: sums to 1
      const { d_model: C, n_heads: H } = this.shape, D = C / H, { weights } = this;
      for (let key = 0; key <= query; key++)
        weights[key] = dotOf(block.q, query * C + head * D, block.k, key * C + head * D, D) / Math.sqrt(D);
      softmax(weights, query + 1);
      return weights;
    }

    attention(layer, head) { // T rows of T, T = model.length: row = who looks, column = at whom
      if (!this.blocks[layer] || !Number.isInteger(head) || head < 0 || head >= this.shape.n_heads)
        refuse(`there is no head ${show(head)} in a layer ${show(layer)}`);
      const T = this.length, map = new Float32Array(T * T);
      for (let query = 0; query < T; query++)
        map.set(this.look(this.blocks[layer], head, query).subarray(0, query + 1), query * T);
      return map;
    }

    // Yields {id, logits}, one for each new token. A full context goes on with its newest `keep` tokens; half of them
    // by default, because a pass over all is needed each time. With `turns` it also yields null while it reads a long text.
    *generate(ids, { tokens = 100, temperature = 1, topK = 0, seed = 1, keep = 0, turns = false } = {}) {
      const { context } = this.shape, draw = random(seed);
      const kept = Math.min(keep || Math.ceil(context / 2), context);
      this.reset();
      let text = [...ids].slice(-context), fresh = text;
      for (let n = 0; n < tokens; n++) {
        if (this.length + fresh.length > context) {
          this.reset();
          fresh = text.slice(-kept);
        }
        for (; turns && fresh.length > GROUP; fresh = fresh.slice(GROUP)) {
          this.advance(fresh.slice(0, GROUP));
          yield null;
        }
        const logits = this.feed(fresh), id = sample(logits, temperature, topK, draw);
        fresh = [id];
        text = [...text, id].slice(-context);
        yield { id, logits };
      }
    }
  }

  function addRow({ data, scale, columns, stride }, row, x, t) { // x[t] += that row of an embedding
    for (let i = 0; i < columns; i++) x.data[t * x.stride + i] += scale[row] * data[row * stride + i];
  }

  function dotOf(a, from, b, at, length) {
    let a0 = 0, a1 = 0, i = 0; // two sums: neither waits for the other
    for (; i + 1 < length; i += 2) a0 += a[from + i] * b[at + i], a1 += a[from + i + 1] * b[at + i + 1];
    return i < length ? a0 + a1 + a[from + i] * b[at + i] : a0 + a1;
  }

  function rotate(data, at, D, position) { // pair i (2i, 2i + 1) turns by position / 10000^(2i / D)
    for (let i = 0; i < D; i += 2) {
      const angle = position * 10000 ** (-i / D), cos = Math.cos(angle), sin = Math.sin(angle);
      const a = data[at + i], b = data[at + i + 1];
      data[at + i] = a * cos - b * sin;
      data[at + i + 1] = a * sin + b * cos;
    }
  }

  const square = (value) => (value > 0 ? value * value : 0);
  const TWICE = 2 * Math.sqrt(2 / Math.PI); // (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), which is computed sooner
  const gelu = (v) => v / (1 + Math.exp(-TWICE * (v + 0.044715 * v * v * v)));

  function load(bytes, { kernel = true } = {}) { // an ArrayBuffer, or a view into one
    const view = ArrayBuffer.isView(bytes) ? [bytes.buffer, bytes.byteOffset, bytes.byteLength] : [bytes];
    return new Model(cohort.readTensors(new Uint8Array(...view)), kernel);
  }

  cohort.load = load;
})();
