// The setting in the address, so that a link opens that setting: #alpha=0.5&shots=5&start=1,2
// With a chapter it says what differs from the chapter's own: #chapter=5&noise=0.2; #present=1 opens a lecture.

const KNOBS = ["alpha", "depth", "shots", "noise", "mean", "theta", "steps", "updates", "turn", "moves", "upper"];
const MOST_SEED = 99999;

// What the address says of a knob, start or seed; nothing where it is not what it may be.
function readAddress(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const found = {};
  for (const id of KNOBS) {
    const value = (PLACES[id] ?? number)(said.get(id));
    if (value !== null) found[id] = value;
  }
  const pair = (said.get("start") ?? "").split(",").map(number);
  if (pair.length === 2 && !pair.includes(null)) found.start = pair;
  const seed = number(said.get("points"));
  if (Number.isInteger(seed) && seed >= 1 && seed <= MOST_SEED) found.seed = seed;
  const named = number(said.get("chapter"));
  if (Number.isInteger(named) && named >= 1 && named <= CHAPTERS.length) found.chapter = named;
  if (said.get("present") === "1") found.present = true;
  return found;
}

function number(words) {
  return words !== null && /^-?\d+(\.\d+)?$/.test(words) ? Number(words) : null;
}

// Step sizes and shots go by their number in the address, by their place on the slider.
function stepPlace(words) {
  const size = number(words);
  if (size === null) return null;
  return TABLES.stepSizes.reduce((best, s, k) => (Math.abs(s - size) < Math.abs(TABLES.stepSizes[best] - size) ? k : best), 0);
}

function shotsPlace(words) {
  const place = SHOTS.findIndex((shots) => (shots === null ? "all" : `${shots}`) === words);
  return place < 0 ? null : place;
}

const PLACES = { alpha: stepPlace, shots: shotsPlace };
const SAID = { alpha: (place) => TABLES.stepSizes[place], shots: (place) => SHOTS[place] ?? "all" };

// The setting as the chapter opens it, or the page.
function firstSetting() {
  const knobs = KNOBS.map((id) => [id, find(id).defaultValue]);
  return { ...Object.fromEntries(knobs), start: FIRST, seed: 1, ...readAddress(CHAPTERS[chapter]?.hash ?? "") };
}

// The address of a setting: the chapter, and what differs from the setting that it opens with.
function writeAddress() {
  const said = new URLSearchParams();
  const first = firstSetting();
  if (inTalk()) said.set("present", 1);
  if (chapter >= 0) said.set("chapter", chapter + 1);
  for (const id of KNOBS) {
    const { value } = find(id);
    if (Number(value) === Number(first[id])) continue;
    said.set(id, SAID[id]?.(value) ?? value);
  }
  if (start.some((w, i) => w !== first.start[i])) said.set("start", start.map((w) => Number(w.toFixed(3))).join());
  if (seed !== first.seed) said.set("points", seed);
  const hash = `${said}`.replaceAll("%2C", ",");
  toHistory("replaceState", hash ? `#${hash}` : location.pathname + location.search);
}

function toHistory(how, address) {
  try {
    history[how](null, "", address);
  } catch {
    // Some browsers refuse it where the page is a file; the address then stays as it is.
  }
}

// Another chapter is another entry of the browser's history: Back leads to this one.
function leaveAddress() {
  clearTimeout(writing);
  toHistory("pushState", location.href);
}

let writing;
function writeAddressSoon() {
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 250);
}

function openAddress(hash = location.hash) {
  const said = readAddress(hash);
  chapter = (said.chapter ?? 0) - 1;
  document.body.classList.toggle("talk", said.present ?? false);
  writeChapter();
  openSetting(said);
}

// What is said of the setting; all else as the chapter opens it, or the page. Sliders round to their
// steps and keep to their ends by themselves.
function openSetting(said = {}) {
  const setting = { ...firstSetting(), ...said };
  for (const id of KNOBS) find(id).value = setting[id];
  ({ start, seed } = setting);
  hideIdleKnobs();
  update("problem");
}
