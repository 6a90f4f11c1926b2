export { cleanUp } from './clean-up';
export { keepPicture } from './on-failure';
export { fix, lineOf, problems, quick, save, typeOver, waitForProblem, writeRecipe } from './recipe-editing';
export { endRuns, engineProcesses, holdAtBlock, kill, letGo, readResult, readRun, runDirectories, runThat, RUN_TIME } from './run-on-disk';
export { RunsView } from './runs-view';
export { SensitivityView, type TableCell } from './sensitivity-view';
