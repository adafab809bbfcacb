// How a tokenizer cuts a text, after the first n of its merges: a slider goes from single bytes to the whole vocabulary.
(() => {
  "use strict";
  const MOST = 2000; // characters
  const { cohort } = globalThis, { make, folder, shown } = cohort.page;

  cohort.parts.merges = async (box) => {
    const tokenizer = await folder(box.dataset.files).tokenizer(), all = tokenizer.merges.length;
    const value = (box.dataset.text || "").slice(0, MOST);
    const field = make("textarea", { rows: 3, maxLength: MOST, spellcheck: false, oninput: draw, value });
    const slider = make("input", { type: "range", max: all, value: all, oninput: draw }), count = make("span");
    const last = make("p.small"), cut = make("p.text.cut", { dir: "auto" }), sum = make("p", { role: "status" });

    function draw() {
      const n = Number(slider.value), ids = tokenizer.encode(field.value, n);
      const lengths = ids.map((id) => tokenizer.bytes(id).length), bytes = lengths.reduce((a, b) => a + b, 0);
      count.textContent = `The first ${n} of ${all} merges`;
      last.textContent = all ? "No merge yet: each byte is a token." : "There are no merges: each character is a token.";
      if (n) {
        const [left, right, made] = tokenizer.merges[n - 1].map((id) => `“${shown(tokenizer, id)}”`);
        last.textContent = `Merge ${n}: ${left} + ${right} → ${made}`;
      }
      cut.replaceChildren(...ids.map((id, at) =>
        make("span", { title: `${id}: ${lengths[at]} bytes` }, shown(tokenizer, id))));
      sum.textContent = `${ids.length} tokens, ${bytes} bytes, ${(bytes / ids.length || 0).toFixed(2)} bytes per token`;
    }

    box.replaceChildren(make("label", {}, `Text, up to ${MOST} characters`, field),
      all ? make("label", {}, count, slider) : "", last, cut, sum);
    draw();
  };
})();
