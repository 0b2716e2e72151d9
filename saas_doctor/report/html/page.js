"use strict";
// Shows the findings whose severity and part are both ticked.
const form = document.getElementById("filter");
const findings = [...document.querySelectorAll("article[data-family]")];
const update = () => {
  const ticked = new FormData(form);
  const severities = ticked.getAll("severity"), families = ticked.getAll("family");
  let shown = 0;
  for (const finding of findings) {
    const { severity, family } = finding.dataset;
    finding.hidden = !(severities.includes(severity) && families.includes(family));
    shown += !finding.hidden;
  }
  document.getElementById("shown").textContent = `${shown} of ${findings.length} findings are shown.`;
};
form.addEventListener("change", update);
form.hidden = findings.length === 0;
update();
