/** A dependency of the engine as `pyproject.toml` states it; only `>=` and `<` bounds are used there. */
export interface Requirement {
    readonly name: string;
    readonly atLeast: string | undefined;
    readonly below: string | undefined;
}

/** The `dependencies` of a pyproject.toml. Throws when there are none: the engine cannot be without any. */
export function readRequirements(pyproject: string): Requirement[] {
    const list = /^dependencies = \[([^\]]*)\]/m.exec(pyproject)?.[1];
    const entries = [...(list ?? '').matchAll(/"([A-Za-z0-9_.-]+)([^"]*)"/g)];
    if (entries.length === 0) throw new Error('engine/pyproject.toml lists no dependencies');
    return entries.map(([, name, bounds]) => ({
        name: name ?? '',
        atLeast: />=\s*([\d.]+)/.exec(bounds ?? '')?.[1],
        below: /<\s*([\d.]+)/.exec(bounds ?? '')?.[1],
    }));
}

/** Which requirements an environment does not meet, in words: `torch`, `transformers >=5.17 (found 4.40.0)`. */
export function missingRequirements(requirements: readonly Requirement[], found: Readonly<Record<string, string | null>>): string[] {
    return requirements.flatMap((requirement) => {
        const version = found[requirement.name];
        if (!version) return [requirement.name];
        const { atLeast, below } = requirement;
        if (atLeast !== undefined && compareVersions(version, atLeast) < 0) return [`${requirement.name} >=${atLeast} (found ${version})`];
        if (below !== undefined && compareVersions(version, below) >= 0) return [`${requirement.name} <${below} (found ${version})`];
        return [];
    });
}

/** Compares the leading numbers of two versions; `2.13.0+cpu` counts as 2.13.0. */
export function compareVersions(left: string, right: string): number {
    const numbers = (text: string): number[] => (/^\d+(\.\d+)*/.exec(text)?.[0] ?? '').split('.').map(Number);
    const [a, b] = [numbers(left), numbers(right)];
    for (let index = 0; index < Math.max(a.length, b.length); index++) {
        const difference = (a[index] ?? 0) - (b[index] ?? 0);
        if (difference !== 0) return Math.sign(difference);
    }
    return 0;
}
