import type { Finding } from './finding';
import { suggestion } from './nearest';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import { discriminator, listedValues } from './schema';
import { soundPart } from './sound';
import { MOST_OFFERED, offeredInstead, usualFormsFirst, usualSchemesFirst } from './usual';

/** What may be written instead of an unknown name, best first. */
export interface Guesses {
    readonly texts: readonly string[];
    /** Whether the first one is what was probably meant. */
    readonly isLikely: boolean;
}

/** Of a finding of the schema about a name that is not near to a known one; undefined: the finding says itself what to write. */
export function guesses(recipe: Recipe, finding: Finding): Guesses | undefined {
    const { code, path, span } = finding;
    if ((code !== 'unknown-key' && code !== 'unknown-value') || !path || finding.unquoted !== undefined || (code === 'unknown-value' && finding.removable)) return undefined;
    const sound = soundPart(recipe).recipe;
    const place = placeAt(sound.root, path);
    if (code === 'unknown-key') return place?.key?.start === span.start ? keyGuesses(place) : undefined;
    return place?.kind === 'text' && place.span.start === span.start ? valueGuesses(recipe, place) : undefined;
}

/** Names that the mapping lacks; the only one that begins so, or that has to be there, is what was meant. */
function keyGuesses(place: Place): Guesses | undefined {
    const owner = place.parent;
    const free = Object.keys(owner?.shape?.properties ?? {}).filter((name) => !childNamed(owner, name));
    const { near, names } = suggestion(place.key!.name, free);
    if (near !== undefined) return { texts: [near], isLikely: true };
    const isBeginning = names.length < free.length || (free.length === 1 && owner?.shape?.required?.includes(free[0]!) === true);
    return { texts: isBeginning || free.length === 1 ? names.slice(0, MOST_OFFERED) : [], isLikely: isBeginning && names.length === 1 };
}

function valueGuesses(recipe: Recipe, place: Place): Guesses | undefined {
    const known = namesAt(place);
    if (known.length === 0) return undefined;
    const { near, names } = suggestion(place.text, known);
    if (near !== undefined) return { texts: [near], isLikely: true };
    const ordered = usualSchemesFirst(usualFormsFirst(recipe.schema, names));
    const isBeginning = names.length < known.length;
    return isBeginning ? { texts: ordered.slice(0, MOST_OFFERED), isLikely: true } : { texts: offeredInstead(ordered), isLikely: false };
}

/** The names that the schema lists for a value; for what tells mappings apart, those of all of them. */
function namesAt(place: Place): string[] {
    const alternatives = place.parent?.slot?.alternatives ?? [];
    const mappings = alternatives.filter(({ kind }) => kind === 'mapping');
    const property = discriminator(alternatives);
    if (property !== undefined && place.key?.name === property) return mappings.map(({ schema }) => String(schema.properties?.[property]?.const));
    return (place.slot?.alternatives ?? []).flatMap(listedValues).map(({ value }) => String(value));
}
