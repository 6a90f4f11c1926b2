import path from 'node:path';
import * as vscode from 'vscode';
import type { CheckpointHeader } from '../../../protocol/checkpoint';
import { bits } from '../../../protocol/decimals';
import type { SchemeFormat } from '../../../protocol/formats';
import { exists } from '../../base/files';
import { formatBytes } from '../../base/text';
import { inputText, pickMany, pickOne, type Answer } from '../../ui/multiStep';
import { estimate, offersFor, withSuffix, type Offer } from './estimate';
import { isWithin } from './placing';
import { grouped, safestFirst, sensibleCandidates, sensibleDefault, type MethodChoice } from './schemaChoices';

const STEPS = 3;

export interface WizardInput {
    readonly header: CheckpointHeader;
    readonly choices: readonly MethodChoice[];
    readonly groupSizes: readonly number[];
    /** Folder of the recipe: the output is named relative to it. */
    readonly folder: string;
}

export interface WizardAnswers {
    readonly candidates: readonly string[];
    readonly defaultUse: string;
    /** Absolute path. */
    readonly output: string;
    /** Whether a candidate cannot do without calibration data. */
    readonly needsCalibration: boolean;
}

interface CandidateItem extends vscode.QuickPickItem {
    /** Absent for separators. */
    readonly choice?: MethodChoice;
}

/** Asks what to compare, what to apply and where to write. undefined: cancelled. */
export async function askForRecipe(input: WizardInput): Promise<WizardAnswers | undefined> {
    const name = path.basename(input.header.folder);
    const title = vscode.l10n.t('Quantize {0}', name);
    const items = candidateItems(input);
    let step = 1;
    let candidates = sensibleLabels(items);
    let defaultUse: string | undefined;
    let output: string | undefined;
    for (;;) {
        let answer: Answer<unknown>;
        if (step === 1) {
            const picked = await askForCandidates(title, items, candidates);
            if (picked.kind === 'answer') candidates = picked.value;
            answer = picked;
        } else if (step === 2) {
            const picked = await askForDefault(title, items, candidates, defaultUse);
            if (picked.kind === 'answer' && picked.value !== defaultUse) [defaultUse, output] = [picked.value, undefined];
            answer = picked;
        } else {
            output ??= await freeOutput(input.folder, `output/${name}-${defaultUse ?? ''}`);
            const picked = await askForOutput(title, input, output);
            if (picked.kind === 'answer') output = picked.value;
            answer = picked;
        }
        if (answer.kind === 'cancelled') return undefined;
        step += answer.kind === 'back' ? -1 : 1;
        if (step <= STEPS) continue;
        const needsCalibration = items.some(({ label, choice }) => choice?.needsCalibration && candidates.includes(label));
        return { candidates, defaultUse: defaultUse ?? '', output: path.resolve(input.folder, output ?? ''), needsCalibration };
    }
}

async function askForCandidates(title: string, items: readonly CandidateItem[], chosen: readonly string[]): Promise<Answer<string[]>> {
    const answer = await pickMany({
        title, step: 1, steps: STEPS, items, chosen,
        placeholder: vscode.l10n.t('What should the sensitivity panel compare on every layer?'),
        needOne: vscode.l10n.t('Choose at least one candidate.'),
    });
    return answer.kind === 'answer' ? { kind: 'answer', value: answer.value.map(({ label }) => label) } : answer;
}

async function askForDefault(title: string, items: readonly CandidateItem[], candidates: readonly string[], chosen: string | undefined): Promise<Answer<string>> {
    const picked = items.filter(({ label, choice }) => choice && candidates.includes(label));
    const best = sensibleDefault(picked.flatMap(({ label, choice }) => (choice ? [{ ...choice, label }] : [])));
    const possible = picked.map((item) => (item.label === best?.label ? { ...item, description: [item.description, vscode.l10n.t('recommended')].filter(Boolean).join(' · ') } : item));
    const answer = await pickOne({
        title, step: 2, steps: STEPS, items: possible,
        chosen: [chosen !== undefined && candidates.includes(chosen) ? chosen : (best?.label ?? '')],
        placeholder: vscode.l10n.t('Which one should be applied to every layer that no rule names?'),
    });
    return answer.kind === 'answer' ? { kind: 'answer', value: answer.value.label } : answer;
}

function askForOutput(title: string, { folder, header }: WizardInput, value: string): Promise<Answer<string>> {
    return inputText({
        title, step: 3, steps: STEPS, value,
        prompt: vscode.l10n.t('Folder for the quantized checkpoint, relative to the recipe'),
        validate: async (text) => {
            if (!text.trim()) return vscode.l10n.t('Enter the name of a folder.');
            const target = path.resolve(folder, text);
            if (isWithin(target, header.folder)) return vscode.l10n.t('The output must not lie inside the checkpoint.');
            if (await exists(target)) return vscode.l10n.t('“{0}” exists already; choose another folder.', text);
            return undefined;
        },
    });
}

function candidateItems({ choices, groupSizes, header }: WizardInput): CandidateItem[] {
    const offers = offersFor(safestFirst(choices), header, groupSizes);
    const item = ({ choice, suffix }: Offer, text: string): CandidateItem => {
        const description = (choice.format ? costs(withSuffix(choice.format, suffix), header) : []).join(' · ');
        const adapted = suffix ? ` ${vscode.l10n.t('The group size is adapted to this checkpoint.')}` : '';
        return { label: choice.label + suffix, description, detail: text + adapted, choice };
    };
    return grouped(offers.map(({ choice }) => choice)).flatMap(({ title, choices: group }) => [
        { label: title ?? vscode.l10n.t('Recommended'), kind: vscode.QuickPickItemKind.Separator },
        // Below a method's title the schemes differ; among the recommended ones the methods do.
        ...group.flatMap((choice) => offers.filter((offer) => offer.choice === choice).map((offer) => item(offer, title ? choice.description : choice.about))),
    ]);
}

function costs(format: SchemeFormat, header: CheckpointHeader): string[] {
    const { bitsPerWeight, bytes } = estimate(format, header);
    return [
        vscode.l10n.t('{0} bits per weight', bits(bitsPerWeight)), vscode.l10n.t('about {0} instead of {1}', formatBytes(bytes), formatBytes(header.bytes)),
    ];
}

function sensibleLabels(items: readonly CandidateItem[]): string[] {
    const sensible = sensibleCandidates(items.flatMap(({ choice }) => choice ?? []));
    return items.filter(({ choice }) => choice && sensible.includes(choice)).map(({ label }) => label);
}

async function freeOutput(folder: string, name: string): Promise<string> {
    for (let count = 1; ; count++) {
        const candidate = count === 1 ? name : `${name}-${count}`;
        if (!(await exists(path.resolve(folder, candidate)))) return candidate;
    }
}
