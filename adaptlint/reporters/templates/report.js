"use strict";
const status = document.getElementById("status");
const filter = document.getElementById("filter");
const findings = [...document.querySelectorAll("[data-severity]")].map((each) => [each, each.textContent.toLowerCase()]);

function follow() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let node = target; node; node = node.parentElement) {
    if (node.tagName === "DETAILS") node.open = true;
    if (node.hidden) node.hidden = false;
  }
  target.scrollIntoView();
}

function apply() {
  const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const severities = new Set([...filter.querySelectorAll("input:checked")].map((box) => box.value));
  let seen = 0;
  for (const [finding, text] of findings) {
    const kept = severities.has(finding.dataset.severity) && words.every((word) => text.includes(word));
    if (finding.hidden === kept) finding.hidden = !kept;
    seen += kept;
  }
  document.getElementById("count").textContent = `${seen} of ${findings.length} findings shown`;
}

if (filter) {
  filter.hidden = false;
  filter.addEventListener("input", apply);
  filter.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.getElementById("words").focus();
    }
  });
  apply();
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      status.textContent = "Copied.";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      status.textContent = document.execCommand("copy") ? "Copied." : "Selected; copy it with your keyboard.";
    }
    button.textContent = status.textContent;
  });
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
addEventListener("hashchange", follow);
follow();
