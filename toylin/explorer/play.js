// Meta-training played: the slider of updates turns by itself, and the pictures follow.

const SECONDS = 8; // from the first update to the last: slow at first, where most happens
const JUMP = 100; // updates a press, where motion is not wanted

const still = matchMedia("(prefers-reduced-motion: reduce)");
let playing = null; // the frame that is asked for
const updatesKnob = () => find("updates");

// The button says what it does next.
function writePlay() {
  const words = still.matches ? `Next ${JUMP} updates` : playing === null ? "Play" : "Pause";
  if (find("play").textContent !== words) find("play").textContent = words;
}

function pause() {
  if (playing !== null) cancelAnimationFrame(playing);
  playing = null;
  writePlay();
}

// From the beginning, where the end was reached.
function play() {
  const knob = updatesKnob();
  const from = knob.value === knob.max ? 0 : Number(knob.value);
  if (still.matches) {
    knob.value = knob.value === knob.max ? 0 : from + JUMP;
    update();
    return;
  }
  let first;
  const frame = (now) => {
    first ??= now;
    knob.value = knob.max * (Math.sqrt(from / knob.max) + (now - first) / (1000 * SECONDS)) ** 2;
    playing = knob.value === knob.max ? null : requestAnimationFrame(frame);
    update();
  };
  knob.value = from;
  playing = requestAnimationFrame(frame);
  update();
}

function listenToPlay() {
  find("play").addEventListener("click", () => (playing === null ? play() : pause()));
  updatesKnob().addEventListener("input", pause);
  find("controls").addEventListener("reset", pause);
  addEventListener("hashchange", pause);
  still.addEventListener("change", pause);
  writePlay();
}
