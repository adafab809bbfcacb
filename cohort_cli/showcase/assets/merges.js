// How a tokenizer cuts a text, after the first n of its merges: a slider goes from single bytes to its whole vocabulary.
(() => {
  "use strict";
  const MOST = 2000; // characters
  const cohort = (globalThis.cohort = globalThis.cohort || {});

  (cohort.parts = cohort.parts || {}).merges = async (box) => {
    const { make, folder, shown, attempt } = cohort.page;
    const tokenizer = await folder(box.dataset.files).tokenizer(), all = tokenizer.merges.length;
    const field = make("textarea", { rows: 3, maxLength: MOST, spellcheck: false, oninput: draw });
    field.value = (box.dataset.text || "").slice(0, MOST);
    const slider = make("input", { type: "range", min: 0, max: all, value: all, oninput: draw });
    const count = make("output"), last = make("p", { className: "cohort-small" });
    const cut = make("p", { className: "cohort-text cohort-cut", dir: "auto" }), sum = make("p", { role: "status" });
    const name = (id) => `“${shown(tokenizer, id)}”`;

    function draw() {
      return attempt(sum, () => {
        const n = Number(slider.value), ids = tokenizer.encode(field.value, n);
        count.textContent = `${n} of ${all}`;
        if (n) {
          const [left, right] = tokenizer.merges[n - 1];
          const made = tokenizer.decode([left, right]), [whole] = tokenizer.encode(made, n);
          last.textContent = `Merge ${n}: ${name(left)} + ${name(right)} → ${name(whole)}`;
        } else last.textContent = all ? "No merge yet: each byte is a token." : "There are no merges: each character is a token.";
        let bytes = 0;
        cut.replaceChildren(...ids.map((id) => {
          const length = tokenizer.bytes(id).length, title = `token ${id}, ${length} byte${length === 1 ? "" : "s"}`;
          bytes += length;
          return make("span", { title }, shown(tokenizer, id));
        }));
        const each = ids.length ? `, ${(bytes / ids.length).toFixed(2)} bytes per token` : "";
        sum.textContent = `${ids.length} tokens for ${bytes} bytes${each}`;
      });
    }

    box.replaceChildren(make("label", { className: "cohort-prompt" }, `Text, up to ${MOST} characters`, field),
      ...(all ? [make("label", { className: "cohort-prompt" }, "Merges ", count, slider)] : []), last, cut, sum);
    await draw();
  };
})();
