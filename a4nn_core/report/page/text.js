// Making elements and writing numbers. Text of others enters the page as text nodes only, and Plotly's labels,
// which it reads as HTML, only through plain().

const NONE = "–";
const WHOLE = new Intl.NumberFormat("en"); // made once: toLocaleString makes one for every number

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "className" || key === "value" || key === "disabled" || key === "hidden") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function plain(words) {
  const safe = String(words).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return safe.replace(/\n/g, "<br>");
}

function short(words, most = 60) {
  const text = String(words);
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

function number(value, digits = 4) {
  if (value === null || value === undefined) return NONE;
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return WHOLE.format(value);
  return Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3 ? value.toPrecision(digits) : String(+value.toFixed(digits));
}

function score(value, error, unit) {
  if (value === null || value === undefined) return NONE;
  return value.toFixed(2) + (error === null || error === undefined ? "" : " ± " + error.toFixed(2)) + " " + unit;
}

function signed(value, digits = 2) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}
