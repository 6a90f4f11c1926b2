import path from 'node:path';
import { RUNS_FOLDER } from '../../protocol/runs';

/** The recipe's name without its endings. */
export function recipeName(recipe: string): string {
    return path.basename(recipe).replace(/(\.quant)?\.ya?ml$/, '') || 'recipe';
}

/** `20261122T070650Z-name`, as the engine itself names runs: sorts by time, plain ASCII. `count` tells runs of the same second apart. */
export function runId(recipe: string, now: number, count = 1): string {
    const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
    const name = recipeName(recipe).replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '').slice(0, 150) || 'recipe';
    return `${time}-${name}${count === 1 ? '' : `-${count}`}`;
}

/** The folder beside the recipe that holds its run directories. */
export function runsFolder(recipe: string): string {
    return path.join(path.dirname(recipe), RUNS_FOLDER);
}
