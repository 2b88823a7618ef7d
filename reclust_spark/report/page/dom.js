// Elements of the page. What the survey says goes in as text, never as HTML.

const LONG_TEXT = 260;
const SHORT_TEXT = 125;

const byId = (id) => document.getElementById(id);

// An element with attributes and children; `onclick` is a listener, `vars` are CSS variables.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else if (name === "vars") setVariables(element, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function setVariables(element, variables) {
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) element.style.setProperty(name, value);
  }
}

const button = (name, onclick, ...children) =>
  make("button", { type: "button", class: name, onclick }, ...children);

// A text of the survey in its own direction.
function foreign(said, tag = "span", name = undefined) {
  const element = make(tag, { dir: "auto", class: name });
  element.textContent = said;
  return element;
}

// The beginning of a text, where it stands in a line; all of it when pointed at.
function short(said, tag = "span", name = undefined, length = SHORT_TEXT) {
  const element = foreign(shortened(said, length), tag, name);
  if (said.length > length) element.title = shortened(said, 1500);
  return element;
}

function shortened(said, length = SHORT_TEXT) {
  if (said.length <= length) return said;
  return `${[...said.slice(0, 2 * length)].slice(0, length - 1).join("")}…`;
}

// A text of any length: a long one shows its first lines and opens.
function long(said, tag = "span", name = "") {
  if (said.length <= LONG_TEXT) return foreign(said, tag, name);
  const body = foreign(said, "span", "clamped");
  const toggle = button("more", () => {
    const isOpen = body.classList.toggle("clamped") === false;
    toggle.setAttribute("aria-expanded", isOpen);
    toggle.textContent = isOpen ? "Show less" : "Read all of it";
  }, "Read all of it");
  toggle.setAttribute("aria-expanded", false);
  return make(tag, { class: name || undefined }, body, toggle);
}

function announce(said) {
  byId("said").textContent = said;
}
