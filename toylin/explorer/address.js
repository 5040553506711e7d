// The setting in the address, so that a link opens that setting: #alpha=0.5&shots=5&start=1,2

const KNOBS = ["alpha", "depth", "shots", "noise", "theta", "steps", "updates"];
const MOST_SEED = 99999;

// What the address says of a knob, start or seed; nothing where it is not what it may be.
function readAddress(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const found = {};
  for (const id of KNOBS) {
    const value = id === "shots" ? shotsPlace(said.get(id)) : number(said.get(id));
    if (value !== null) found[id] = value;
  }
  const pair = (said.get("start") ?? "").split(",").map(number);
  if (pair.length === 2 && !pair.includes(null)) found.start = pair;
  const seed = number(said.get("points"));
  if (Number.isInteger(seed) && seed >= 1 && seed <= MOST_SEED) found.seed = seed;
  return found;
}

function number(words) {
  return words !== null && /^-?\d+(\.\d+)?$/.test(words) ? Number(words) : null;
}

// Shots go by their number in the address, by their place on the slider.
function shotsPlace(words) {
  const place = SHOTS.findIndex((shots) => (shots === null ? "all" : `${shots}`) === words);
  return place < 0 ? null : place;
}

// The address of a setting: what differs from the page as it first opens.
function writeAddress() {
  const said = new URLSearchParams();
  for (const id of KNOBS) {
    const { value, defaultValue } = find(id);
    if (value === defaultValue) continue;
    said.set(id, id === "shots" ? (SHOTS[value] ?? "all") : value);
  }
  if (start.some((w, i) => w !== FIRST[i])) said.set("start", start.map((w) => Number(w.toFixed(3))).join());
  if (seed !== 1) said.set("points", seed);
  const hash = `${said}`.replaceAll("%2C", ",");
  try {
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  } catch {
    // Some browsers refuse it where the page is a file; the address then stays as it is.
  }
}

let writing;
function writeAddressSoon() {
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 250);
}

// Sliders round to their steps and keep to their ends by themselves.
function openAddress(hash = location.hash) {
  const said = readAddress(hash);
  for (const id of KNOBS) find(id).value = said[id] ?? find(id).defaultValue;
  start = said.start ?? FIRST;
  seed = said.seed ?? 1;
  update("problem");
}
