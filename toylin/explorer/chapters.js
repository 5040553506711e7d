// Chapters that lead through the page, and the page as a lecture shows it: large, with few panels.

const PANELS = ["relief-panel", "map-panel", "training-panel", "shallow-panel", "directions", "task", "classes"];
const PAPER = "Arnold, Iqbal and Sha, AISTATS 2021";
const EXACT = "The losses are exact expectations: nothing is sampled.";
// `knobs`: those that the chapter speaks of; `solo`: the shallow model alone; `fixed`: the map keeps its scale.
const CHAPTERS = [
  {
    title: "One layer is stuck",
    hash: "#start=0,1&updates=0",
    panels: ["shallow-panel", "task"],
    knobs: ["alpha", "theta", "steps"],
    solo: true,
    fixed: true,
    words: "The step of the shallow model goes the same share α of the way to the task θ from every start w. At α = 0.10 that is 10 %: drag the start on the parabola and move the slope θ; no start changes that share, and none gets below the floor.",
    source: `${PAPER}, ask how MAML is able to adapt fast to new tasks.`,
  },
  {
    title: "Two layers, the same functions",
    hash: "#updates=0",
    panels: ["map-panel", "training-panel"],
    knobs: ["alpha"],
    words: "f(x) = w₂w₁x is again a line through zero, and both models start as one function, at the bold start. Will meta-training pass the floor (the thick line on the map)? Press Play.",
    source: `${PAPER}, find that MAML adapts better with a deep architecture even if the tasks need only linear ones, so that no representation has to be learned.`,
  },
  {
    title: "The upper weight is the step",
    hash: "#start=0,2&updates=0",
    panels: ["map-panel", "task"],
    knobs: ["alpha", "theta", "updates"],
    fixed: true,
    words: "From w₁ = 0 the gradient of w₁ carries the factor w₂, and its step moves the line by w₂ times itself: the share α w₂² of the way. Drag the bold start up and down: which w₂ goes all of the way? Move Updates: meta-training goes towards it, to a star. Turn α: the stars move to undo it.",
    source: `${PAPER}, show that upper layers enable fast adaptation by being meta-learned to perform adaptive gradient updates.`,
  },
  {
    title: "A step that suits by luck",
    hash: "#alpha=1",
    panels: ["shallow-panel", "training-panel"],
    knobs: ["alpha"],
    words: "For whole populations with inputs of variance 1, α = 1 goes all of the way as it is, and one layer does as well as two: the dashed deep line lies on the shallow one. Turn α: depth helps where the step is not right.",
    source: EXACT,
  },
  {
    title: "Few shots and noise",
    hash: "#shots=5&noise=0.5",
    panels: ["map-panel", "training-panel"],
    knobs: ["alpha", "shots", "noise", "mean"],
    words: "The size of few points is random, and so is that of their gradient: one step cannot suit all, even without noise, and noise adds to that. At mean 0 the best share of K shots is 1/(1 + 2/K + σ²/K): two layers find it whatever α is, one layer goes the share α. Turn μ and α up, too: near a mean that is not 0 depth can harm.",
    source: EXACT,
  },
  {
    title: "The same on a classifier",
    hash: "",
    panels: ["classes"],
    knobs: ["alpha", "depth", "shots", "turn", "moves", "upper"],
    words: "Logistic regression on two clouds. Both models start as the same function. At α = 0.1 one layer’s step hardly turns its boundary, and its loss hardly falls. The upper weight makes the step longer: at 100 % of the best, one step from zero on the population would give every task its best classifier. Turn the classes: the deep line follows.",
    source: EXACT,
  },
  {
    title: "Rules that learn how to step",
    hash: "",
    panels: ["map-panel", "directions"],
    knobs: ["alpha", "depth", "shots", "noise", "mean"],
    words: "From one start the rules go different ways. Meta-SGD’s arrow is MAML’s; besides, it learns the size of the inner step. “One layer, learned step” is what it reaches with one layer, and so does Meta-KFO: at mean 0 it is what depth reaches. Drag the bold start: the arrows follow.",
    source: `FOMAML: Finn, Abbeel and Levine, ICML 2017. Reptile: Nichol, Achiam and Schulman, 2018. ANIL: Raghu, Raghu, Bengio and Vinyals, ICLR 2020. Meta-SGD: Li, Zhou, Chen and Li, 2017. ${PAPER}, propose Meta-KFO, which learns Kronecker factors for the gradient: of one weight, the size of its step.`,
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
  find("words").innerHTML = (now?.words ?? "").replace(/\b(shallow|deep) (line|one|model)\b/g, '<b class="$1">$1</b> $2');
  find("source").textContent = now?.source ?? "";
  find("present").setAttribute("aria-pressed", inTalk());
  const few = inTalk() || now !== undefined;
  const shown = now?.panels ?? (few ? IN_TALK : PANELS);
  for (const id of PANELS) find(id).hidden = !shown.includes(id);
  find("play-note").hidden = !shown.includes("training-panel");
  document.querySelector("main").hidden = !shown.some((id) => find(id).closest("main"));
  document.body.classList.toggle("few", few);
  document.body.classList.toggle("solo", now?.solo ?? false);
  document.body.classList.toggle("classifier", shown.every((id) => id === "classes")); // the headline is of the regression
}

// Knobs that the chapter does not speak of, where they stand as it opens.
function hideIdleKnobs() {
  const [now, first] = [CHAPTERS[chapter], firstSetting()];
  for (const id of KNOBS) {
    find(id).parentElement.hidden = now !== undefined && !now.knobs.includes(id) && Number(find(id).value) === Number(first[id]);
  }
}

// Go to a chapter, or to none, and set what it speaks of.
function openChapter(number) {
  const now = Math.min(Math.max(number, -1), CHAPTERS.length - 1);
  if (now !== chapter) leaveAddress();
  chapter = now;
  pause();
  writeChapter();
  openSetting();
  const tour = find("tour");
  const sticky = getComputedStyle(find("controls")).position === "sticky";
  if (chapter >= 0 && (sticky || tour.getBoundingClientRect().top < 0)) tour.scrollIntoView();
}

function present(on) {
  document.body.classList.toggle("talk", on);
  writeChapter();
  update();
}

// In a talk: what a presenter sends, wherever the focus is, and Escape.
function talkKeys(event) {
  if (!inTalk() || event.target.matches("select")) return;
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
