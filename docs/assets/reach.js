// What scrolls by itself can be reached with the Tab key, so that its arrows work without a mouse. Only where it
// scrolls: a table that fits is no stop on the way.
(() => {
  const SCROLLERS = ".md-typeset__scrollwrap, .maths-block, .drawing, .md-typeset pre > code";
  const mark = () => document.querySelectorAll(SCROLLERS).forEach(one => {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
    else one.removeAttribute("tabindex");
  });
  addEventListener("load", mark);
  addEventListener("resize", mark);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
  document.addEventListener("toggle", mark, true);
})();
