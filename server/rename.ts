import * as l10n from '@vscode/l10n';
import type { TextEdit } from 'vscode-languageserver/node';
import { rangeOf } from './positions';
import type { Place, Recipe, Span } from './recipe';
import { anchorMarks, occurrencesAt } from './references';
import { parseRecipe, placeAt } from './recipe';
import { readUse } from './uses';

/** What can be renamed at the cursor, and as what it stands there. */
export function renameable(recipe: Recipe, offset: number): { readonly span: Span; readonly label: string } | undefined {
    const found = occurrencesAt(recipe, offset);
    return found && { span: found.at, label: found.label.replace(/\s+/g, ' ') };
}

/** Why a name cannot be taken, in a sentence. */
export class RenameError extends Error {}

/**
 * Gives an anchor another name, or writes a way to quantize in another way wherever the recipe asks for the same: in its candidates, its default and its
 * rules. A candidate has no name but how it quantizes, so the new one has to be one that a recipe can ask for. Throws RenameError.
 */
export function rename(recipe: Recipe, offset: number, name: string): TextEdit[] {
    const found = occurrencesAt(recipe, offset);
    if (!found) throw new RenameError(l10n.t('nothing here has a name that is used elsewhere'));
    if (found.kind === 'anchor') {
        refuseAnchor(recipe, found.label, name);
        return found.spans.map((span) => ({ range: rangeOf(recipe, span), newText: name }));
    }
    const wanted = name.trim();
    if (!isUse(recipe, wanted)) throw new RenameError(l10n.t('"{0}" is no way to quantize; write for example gptq-w4a16, or {1}', wanted, '{ method: gptq, scheme: W4A16 }'));
    const commented = found.places.find((place) => hasComment(recipe, place));
    if (commented) throw new RenameError(l10n.t('a comment in line {0} would be lost', recipe.lines.linePos(commented.span.start).line));
    const edits = new Map(found.places.map((place) => [place.span.start, { range: rangeOf(recipe, place.span), newText: wanted }]));
    return [...edits.values()];
}

/** The engine reads names of letters, digits, `-` and `_` only. */
function refuseAnchor(recipe: Recipe, before: string, name: string): void {
    if (!/^[A-Za-z0-9_-]+$/.test(name)) throw new RenameError(l10n.t('"{0}" cannot be the name of an anchor; write letters, digits, - and _', name));
    const taken = name === before ? undefined : anchorMarks(recipe).find((mark) => mark.name === name);
    if (taken) throw new RenameError(l10n.t('"{0}" is in use already, in line {1}', name, recipe.lines.linePos(taken.start).line));
}

/** Whether a text, put where a candidate stands, is one. */
function isUse(recipe: Recipe, text: string): boolean {
    if (/[\r\n]/.test(text)) return false;
    const candidate = parseRecipe(`candidates:\n  - ${text}\n`, recipe.schema);
    return candidate.errors.length === 0 && readUse(candidate, placeAt(candidate.root, ['candidates', 0])) !== undefined;
}

function hasComment({ text }: Recipe, { kind, span, children }: Place): boolean {
    if (kind !== 'mapping') return false;
    const values = children.map((child) => child.span);
    for (const { index } of text.slice(span.start, span.end).matchAll(/(?<=\s)#/g)) {
        const at = span.start + index;
        if (!values.some(({ start, end }) => start <= at && at < end)) return true;
    }
    return false;
}
