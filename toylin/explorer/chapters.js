// Chapters that lead through the page, and the page as a lecture shows it: large, with few panels.

const PANELS = ["relief-panel", "map-panel", "training-panel", "shallow-panel", "directions", "task", "classes"];
const PAPER = "Arnold, Iqbal and Sha, AISTATS 2021";
const CHAPTERS = [
  {
    title: "One layer is stuck",
    hash: "",
    panels: ["shallow-panel", "task"],
    words: "Every start w of the shallow model leaves a loss of at least the floor: the inner step has one length for all starts, and α sets it. Move the slope θ of the task: the black line falls short of it each time.",
    source: `${PAPER}, ask how MAML is able to adapt fast to new tasks.`,
  },
  {
    title: "Two layers, the same functions",
    hash: "",
    panels: ["map-panel", "training-panel"],
    words: "f(x) = w₂w₁x is again a line through zero. Press Play: meta-training leaves the floor of the shallow model behind (the thick line on the map), and ends at a star, where one step learns the task.",
    source: `${PAPER}, find that MAML adapts better with a deep architecture even if the tasks need only linear ones, so that no representation has to be learned.`,
  },
  {
    title: "The upper weight is the step",
    hash: "#start=0.3,0.8",
    panels: ["map-panel", "task"],
    words: "At the upper and the lower star w₁ = 0, and the gradient of w₁ carries the factor w₂, once going down and once coming back: the line moves by α w₂² of the way. Meta-training has found the w₂ that makes it the right length. Turn α: the stars move to undo it.",
    source: `${PAPER}, show that upper layers enable fast adaptation by being meta-learned to perform adaptive gradient updates.`,
  },
  {
    title: "A step that suits by luck",
    hash: "#alpha=1",
    panels: ["shallow-panel", "training-panel"],
    words: "On whole populations of variance 1, α = 1 is the right step as it is, and one layer does as well as two. Depth helps where the step is not.",
    source: "The expectation here is exact: see “What is computed”.",
  },
  {
    title: "Few shots and noise",
    hash: "#shots=5&noise=0.5",
    panels: ["map-panel", "training-panel"],
    words: "Five noisy points say less of the task, so that the best step is shorter and its loss is no longer zero. Two layers find that step, too; one layer has no way to.",
    source: "The expectation here is exact: see “What is computed”.",
  },
  {
    title: "The same on a classifier",
    hash: "",
    panels: ["classes"],
    words: "Logistic regression on two clouds. Both models start as the same function. One layer’s step hardly turns its boundary, and its loss hardly falls. The upper weight makes the step longer: at 100 % of the best, one step from zero would give every task its best classifier. Turn the classes: the red line follows.",
    source: "The losses and shares here are exact: see “What is computed”.",
  },
  {
    title: "Rules that learn how to step",
    hash: "",
    panels: ["map-panel", "directions"],
    words: "From one start the rules go different ways. Meta-SGD’s arrow is MAML’s; besides, it learns the lengths of the inner step, and so gives one layer what depth gives. Drag the bold start on the map: the arrows follow.",
    source: `FOMAML: Finn, Abbeel and Levine, ICML 2017. Reptile: Nichol, Achiam and Schulman, 2018. ANIL: Raghu, Raghu, Bengio and Vinyals, ICLR 2020. Meta-SGD: Li, Zhou, Chen and Li, 2017. ${PAPER}, study such meta-optimizers and propose a new one.`,
  },
];
const IN_TALK = ["map-panel", "training-panel"]; // before a chapter is chosen

let chapter = -1; // none
const inTalk = () => document.body.classList.contains("talk");

function writeChapter() {
  const now = CHAPTERS[chapter];
  find("chapter").value = chapter;
  find("back").disabled = chapter < 0;
  find("next").disabled = chapter === CHAPTERS.length - 1;
  find("story").hidden = !now;
  find("words").textContent = now?.words ?? "";
  find("source").textContent = now?.source ?? "";
  find("present").setAttribute("aria-pressed", inTalk());
  const shown = now?.panels ?? IN_TALK;
  for (const id of PANELS) find(id).hidden = inTalk() && !shown.includes(id);
  find("readout").hidden = inTalk() && shown.every((id) => id === "classes"); // it is of the regression
  document.querySelector("main").hidden = inTalk() && !shown.some((id) => find(id).closest("main"));
}

// Go to a chapter, or to none, and set what it speaks of.
function openChapter(number) {
  chapter = Math.min(Math.max(number, -1), CHAPTERS.length - 1);
  pause();
  writeChapter();
  openSetting();
}

function present(on) {
  document.body.classList.toggle("talk", on);
  writeChapter();
  update();
}

// In a talk: what a presenter sends, and Escape. What has the focus goes first.
function talkKeys(event) {
  if (!inTalk() || event.target.matches("input, select, canvas")) return;
  if (event.key === "PageDown") openChapter(chapter + 1);
  else if (event.key === "PageUp") openChapter(chapter - 1);
  else if (event.key === "Escape") present(false);
  else return;
  event.preventDefault();
}

function listenToChapters() {
  CHAPTERS.forEach(({ title }, k) => find("chapter").add(new Option(`${k + 1}. ${title}`, k)));
  find("chapter").addEventListener("change", ({ target }) => openChapter(Number(target.value)));
  find("back").addEventListener("click", () => openChapter(chapter - 1));
  find("next").addEventListener("click", () => openChapter(chapter + 1));
  find("present").addEventListener("click", () => present(!inTalk()));
  addEventListener("keydown", talkKeys);
}
