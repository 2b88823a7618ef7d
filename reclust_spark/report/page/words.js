// Numbers and paths as people read them.

const counts = new Intl.NumberFormat("en");
const decimals = new Map();

const count = (n) => counts.format(Math.round(n));

function fixed(value, digits) {
  if (!decimals.has(digits)) {
    const style = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    decimals.set(digits, new Intl.NumberFormat("en", style));
  }
  return decimals.get(digits).format(value);
}

function percent(share) {
  if (share > 0 && share < 0.0005) return "<0.1%";
  return `${fixed(100 * share, 1)}%`;
}

// A mean or a median: as many decimals as its size asks for.
function quantity(value) {
  const size = Math.abs(value);
  return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : 2);
}

function date(moment) {
  return new Date(moment).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
}

// 3.1 for /003/001/, `everyone` for the root.
function nameOf(path) {
  return numbersOf(path).join(".") || "everyone";
}

function numbersOf(path) {
  return path.split("/").filter(Boolean).map(Number);
}

const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
