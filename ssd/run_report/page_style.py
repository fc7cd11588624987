"""The look of report.html: sections one below the other, figures side by side where they fit."""

from __future__ import annotations

STYLE = """
:root { --ink: #1f2430; --soft: #667085; --line: #e3e6eb; --accent: #2563eb; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #f6f7f9; color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
  "Noto Sans CJK JP", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { margin: 0; font-size: 27px; line-height: 1.25; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { margin: 0 0 4px; font-size: 18px; }
h2 + dl { margin-top: 10px; }
p { margin: 0; }
.status { color: var(--soft); margin-top: 4px; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: 13.5px; max-width: 78ch; margin-bottom: 14px; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 22px 24px; margin-top: 20px; }
.numbers { display: grid; gap: 14px; margin-top: 22px;
  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.numbers div { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 18px; }
.numbers b { display: block; font-size: 29px; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.numbers span { color: var(--soft); font-size: 13.5px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 5px 22px; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; font-size: 13px; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.text { text-align: left; white-space: normal; color: var(--soft); }
th.text { text-align: left; }
td.name { white-space: normal; overflow-wrap: break-word; min-width: 9em; max-width: 24em; }
tr:last-child td { border-bottom: 0; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 8px; }
details { margin-top: 14px; }
summary { cursor: pointer; color: var(--accent); }
.figures { display: grid; gap: 22px 28px; margin-top: 10px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
figure { margin: 0; min-width: 0; }
img { display: block; max-width: 100%; height: auto; }
figure > img { width: 100%; }
figure.wide { grid-column: 1 / -1; }
.worst { display: grid; gap: 26px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; align-items: start;
  max-width: 966px; }
.pair img { width: 100%; border-radius: 4px; }
figcaption { font-size: 13.5px; margin-top: 7px; overflow-wrap: anywhere; }
figcaption span { color: var(--soft); }
.key i { display: inline-block; width: 11px; height: 11px; border: 3px solid; margin: 0 5px 0 12px;
  vertical-align: -1px; }
footer { color: var(--soft); font-size: 13px; margin-top: 22px; }
@media (max-width: 640px) {
  main { padding: 20px 12px 32px; }
  section { padding: 16px 14px; }
  h1 { font-size: 22px; }
  .pair { grid-template-columns: 1fr; }
  th, td { padding: 6px 7px; }
  th.text, td.text { display: none; }
  td.name { min-width: 0; max-width: 12em; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; }
}
@media print {
  body { background: #fff; }
  section { break-inside: avoid; border: 0; padding: 0; }
}
"""
