// The lowest losses, and what they say of depth: nothing that the numbers shown do not.

function lowestLosses({ stepSize, depth, ...tasks }) {
  const best = bestStarts(depth, stepSize, tasks);
  const perShot = tasks.shots === null ? 0 : 1 / tasks.shots;
  const noise = tasks.noiseStd ** 2;
  return {
    best,
    floor: expectedLoss([tasks.thetaMean], taskNodes(1, tasks), stepSize),
    deepBest: expectedLoss(planeWeights(depth, ...best[0]), taskNodes(depth, tasks), stepSize),
    noStep: (1 + noise) / 2,
    learnedStep: (1 - 1 / (1 + (2 + noise) * perShot) + noise) / 2, // one layer, its step size learned
  };
}

const shownLoss = (loss) => Number(show(loss));

function aloneWords({ floor, noStep }) {
  const beaten = shownLoss(noStep) < shownLoss(floor);
  return `No start of one layer gets lower at this α.${beaten ? " Not taking the step is better." : ""}`;
}

function verdict({ floor, deepBest, noStep }, { depth, stepSize, thetaMean, shots }) {
  const [one, deep, none] = [floor, deepBest, noStep].map(shownLoss);
  const words = { 2: "Two", 3: "Three", 4: "Four" }[depth];
  const many = words.toLowerCase();
  const plane = depth > 2 ? " of equal upper weights" : ""; // where the best start is searched
  if (none < Math.min(one, deep)) return `Not taking the step, from f(x) = μx, beats one layer and ${many}${plane}: near it this α steps too far. Turn it down.`;
  if (deep < one) {
    return `${words} layers get ${show(one - deep)} lower than one layer can at this α, with the same functions.${none < one ? " One layer does worse than without the step." : ""}`;
  }
  if (deep === one) {
    if (thetaMean === 0 || shots === null) return "This α suits one layer, too. Turn it: only the deep model can make up for that.";
    return `At this α one layer does as well as ${many}${plane}.`;
  }
  // Near the mean the step is stepSize times the sum of the squares of the products of all weights
  // but one: least where they are equal.
  const least = depth * stepSize * thetaMean ** (2 - 2 / depth);
  const why = least > stepSize
    ? `near μx their least step is ${least.toFixed(2)} of the way`
    : "from f(x) = μx all their weights move, which adds an error in α²";
  return `One layer gets ${show(one - deep).replace("-", "")} lower than ${many} layers${plane}: ${why}.`;
}
