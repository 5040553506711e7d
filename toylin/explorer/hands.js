// Mouse, finger and keyboard: what turns the pictures and moves the starts.

function rotate(turn, tilt) {
  camera.turn = (camera.turn + turn) % (2 * Math.PI);
  camera.tilt = Math.min(Math.max(camera.tilt + tilt, 0.15), 1.5);
  update();
}

function moveStart(lower, upper) {
  start = [lower, upper];
  update("start");
}

// The weights that a pointer on the map points at.
function pointedAt(map, { clientX, clientY }) {
  const { left, top } = map.getBoundingClientRect();
  const { width, height } = logicalSize(map);
  const box = mapBox(width, height);
  const share = (at, from, to) => view.extent * Math.min(Math.max((2 * (at - from)) / (to - from) - 1, -1), 1);
  return [share((clientX - left) / theme.type, box.left, box.right), share((clientY - top) / theme.type, box.bottom, box.top)];
}

// Whether it points at the bold start, as well as a finger can.
function isOnStart(map, at) {
  const reach = (24 * 2 * view.extent) / map.getBoundingClientRect().width;
  const [from, to] = [shownStart(view), pointedAt(map, at)];
  return Math.hypot(from[0] - to[0], from[1] - to[1]) < reach;
}

function nudge(right, up) {
  const [lower, upper] = shownStart(view);
  const step = 0.1 * tickStep(view.extent);
  moveStart(lower + step * right, upper + step * up);
}

function onKeys(canvas, keys) {
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

// The shallow start: where it is dragged to on its plot. The bold start follows, to the same function.
function moveShallow(w) {
  pause();
  find("updates").value = 0;
  moveStart(Math.min(Math.max(w, view.mean - WIDE), view.mean + WIDE), 1);
}

function listenToShallow(canvas) {
  const pointed = ({ clientX }) => {
    const { left } = canvas.getBoundingClientRect();
    const box = levelBox(logicalSize(canvas));
    return view.mean - WIDE + (2 * WIDE * ((clientX - left) / theme.type - box.left)) / (box.right - box.left);
  };
  let dragging = null;
  canvas.addEventListener("click", (event) => moveShallow(pointed(event)));
  canvas.addEventListener("pointerdown", (event) => {
    // As on the map: a finger that is put down elsewhere may be about to scroll.
    if (event.pointerType === "touch" && Math.abs(pointed(event) - shallowStart(view)) > 0.4) return;
    canvas.setPointerCapture(event.pointerId);
    dragging = event.pointerId; // a finger is captured anyway
    moveShallow(pointed(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId === dragging) moveShallow(pointed(event));
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (dragging = null));
  const nudge = (way) => () => {
    const [lower, upper] = shownStart(view); // a key may come before the picture of the last
    const now = Number(find("updates").value) ? shallowStart(view) : lower * upper ** (view.depth - 1);
    moveShallow(Math.round(10 * now + way) / 10);
  };
  onKeys(canvas, { ArrowLeft: nudge(-1), ArrowRight: nudge(1), ArrowDown: nudge(-1), ArrowUp: nudge(1) });
}

function listen() {
  find("controls").addEventListener("input", () => update("problem"));
  find("task-controls").addEventListener("input", () => update());
  find("class-controls").addEventListener("input", () => update());
  for (const id of ["redraw", "redraw-classes"]) {
    find(id).addEventListener("click", () => {
      seed = (seed % MOST_SEED) + 1;
      update();
    });
  }
  for (const id of ["controls", "task-controls", "class-controls"]) find(id).addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => openAddress());
  listenToPlay();
  listenToChapters();
  find("controls").addEventListener("reset", () => {
    camera = { ...HOME };
    setTimeout(() => openSetting()); // the controls have their first values only after this event
  });

  const relief = find("relief");
  let held;
  relief.addEventListener("pointerdown", (event) => {
    relief.setPointerCapture(event.pointerId);
    held = [event.clientX, event.clientY];
  });
  relief.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
    if (!relief.hasPointerCapture(pointerId)) return;
    rotate(-0.01 * (clientX - held[0]), 0.008 * (clientY - held[1]));
    held = [clientX, clientY];
  });
  onKeys(relief, {
    ArrowLeft: () => rotate(0.1, 0),
    ArrowRight: () => rotate(-0.1, 0),
    ArrowUp: () => rotate(0, -0.06),
    ArrowDown: () => rotate(0, 0.06),
    Home: () => {
      camera = { ...HOME };
      update();
    },
  });

  const map = find("map");
  map.addEventListener("click", (event) => moveStart(...pointedAt(map, event)));
  let dragging = null;
  map.addEventListener("pointerdown", (event) => {
    // A finger that is put down elsewhere may be about to scroll; if it taps, it clicks.
    if (event.pointerType === "touch" && !isOnStart(map, event)) return;
    map.setPointerCapture(event.pointerId);
    dragging = event.pointerId;
  });
  map.addEventListener("pointermove", (event) => {
    if (event.pointerId === dragging) moveStart(...pointedAt(map, event));
  });
  for (const end of ["pointerup", "pointercancel"]) map.addEventListener(end, () => (dragging = null));
  const keepStill = (event) => isOnStart(map, event.touches[0]) && event.preventDefault();
  map.addEventListener("touchstart", keepStill, { passive: false });
  onKeys(map, {
    ArrowLeft: () => nudge(-1, 0),
    ArrowRight: () => nudge(1, 0),
    ArrowUp: () => nudge(0, 1),
    ArrowDown: () => nudge(0, -1),
  });
  listenToShallow(find("shallow"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => update());
  new ResizeObserver(() => update()).observe(find("stage"));
}
