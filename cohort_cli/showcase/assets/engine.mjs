// The engine as a module:  import { load, tokenizer } from "./engine.mjs";
// A page that is opened from a disk (file://) may not load modules: it names the scripts below instead.
import "./kernel.js";
import "./weights.js";
import "./sampling.js";
import "./engine.js";
import "./tokenizer.js";

export const { FORMAT, load, probabilities, sample, random, tokenizer } = globalThis.cohort;
