import type { Family } from '../../../protocol/checkpoint';
import type { SchemeFormat } from '../../../protocol/formats';

/** One way to quantize as the recipe's schema offers it. */
export interface MethodChoice {
    /** Short form, for example `gptq-w4a16`. */
    readonly label: string;
    readonly method: string;
    /** The method's title, for example “Round to nearest”. */
    readonly title: string;
    /** What the method does, in a sentence or two. */
    readonly about: string;
    /** Of the scheme. */
    readonly description: string;
    /** undefined when the schema does not say it. */
    readonly format: SchemeFormat | undefined;
    readonly needsCalibration: boolean;
}

/** What the recipe's schema says that the questions need. */
export interface SchemaFacts {
    readonly choices: readonly MethodChoice[];
    /** Where each supported architecture has its linear layers. */
    readonly families: Readonly<Record<string, Family>>;
    /** The group sizes that a short form can name. */
    readonly groupSizes: readonly number[];
}

interface SchemaNode {
    readonly enum?: readonly string[];
    readonly enumDescriptions?: Readonly<Record<string, string>>;
    readonly anyOf?: readonly SchemaNode[];
    readonly properties?: Readonly<Record<string, { readonly const?: string; readonly title?: string; readonly description?: string }>>;
    readonly $defs?: Readonly<Record<string, SchemaNode>>;
    readonly 'x-architectures'?: Readonly<Record<string, Family>>;
    readonly 'x-schemes'?: Readonly<Record<string, SchemeFormat>>;
    readonly 'x-short-forms'?: Readonly<Record<string, { readonly method: string; readonly scheme: string }>>;
    readonly 'x-group-sizes'?: readonly number[];
    readonly 'x-methods'?: Readonly<Record<string, { readonly needs_calibration: boolean }>>;
}

export function readSchemaFacts(schemaText: string): SchemaFacts {
    const schema = JSON.parse(schemaText) as SchemaNode;
    return { choices: readChoices(schema), families: schema['x-architectures'] ?? {}, groupSizes: schema['x-group-sizes'] ?? [] };
}

/** Every method and scheme in the schema, in its order: a new method of the engine appears here by itself. */
function readChoices(schema: SchemaNode): MethodChoice[] {
    const short = schema.$defs?.ShortUse?.anyOf?.find((node) => node.enum) ?? {};
    return (short.enum ?? []).map((label) => {
        const { method, scheme } = schema['x-short-forms']?.[label] ?? { method: label.replace(/-.*/, ''), scheme: '' };
        const text = short.enumDescriptions?.[label] ?? '';
        const format = schema['x-schemes']?.[scheme];
        return {
            label, method, ...aboutMethod(schema, method),
            description: text.replace(/^[^.]*\. /, ''),
            format, needsCalibration: schema['x-methods']?.[method]?.needs_calibration !== false || format?.calibrated_inputs === true,
        };
    });
}

function aboutMethod(schema: SchemaNode, method: string): { title: string; about: string } {
    const model = Object.values(schema.$defs ?? {}).find(({ properties }) => properties?.method?.const === method && properties.scheme);
    const { title, description = '' } = model?.properties?.method ?? {};
    const [, bold, about] = /^\*\*(.+?)\*\*\. (.+)$/s.exec(description) ?? [];
    return { title: title ?? bold ?? method, about: about ?? description };
}

/**
 * Methods in the schema's order, which is the engine's ranking; of each the format that changes the model least first, those that leave the
 * layers' inputs as they are before the others.
 */
export function safestFirst(choices: readonly MethodChoice[]): MethodChoice[] {
    const methods = [...new Set(choices.map(({ method }) => method))];
    const keepsInputs = ({ format }: MethodChoice): number => (format?.inputs === null ? 1 : 0);
    const bits = ({ format }: MethodChoice): number => format?.num_bits ?? 0;
    return methods.flatMap((method) => choices.filter((choice) => choice.method === method).sort((a, b) => keepsInputs(b) - keepsInputs(a) || bits(b) - bits(a)));
}

/**
 * The candidates that are ticked at first: every calibrated method, and the baseline, at four and three bits of integer weights, where methods differ; what is
 * applied most often first. The baseline is the last method in the engine's ranking.
 */
export function sensibleCandidates(choices: readonly MethodChoice[]): MethodChoice[] {
    const baseline = choices.at(-1)?.method;
    const sensible = choices.filter(({ method, format, needsCalibration }) => format?.symmetric && format.regroupable && format.inputs === null
        && (format.num_bits === 3 || format.num_bits === 4) && (needsCalibration || method === baseline));
    return sensible.length > 0 ? sensible.sort((a, b) => (b.format?.num_bits ?? 0) - (a.format?.num_bits ?? 0)) : choices.slice(0, 2);
}

/** Choices that stand together in a list; without a title: those that are recommended. */
export interface ChoiceGroup {
    readonly title: string | undefined;
    readonly choices: MethodChoice[];
}

/** What is recommended above the rest, which is grouped by method: of a long list only the beginning is seen. */
export function grouped(choices: readonly MethodChoice[]): ChoiceGroup[] {
    const sensible = sensibleCandidates(choices);
    const groups: ChoiceGroup[] = [{ title: undefined, choices: sensible }];
    for (const choice of choices.filter((other) => !sensible.includes(other))) {
        const last = groups.at(-1)!;
        if (last.title === choice.title) last.choices.push(choice);
        else groups.push({ title: choice.title, choices: [choice] });
    }
    return groups;
}

/** Of the chosen candidates the one to apply: four bits with inputs as they are if possible; among equals the first in the schema's order, which is the engine's ranking. */
export function sensibleDefault(candidates: readonly MethodChoice[]): MethodChoice | undefined {
    const rank = ({ format }: MethodChoice): number => Math.abs((format?.num_bits ?? 16) - 4) * 4 + (format?.inputs === null ? 0 : 2) + (format?.symmetric && format.regroupable ? 0 : 1);
    return [...candidates].sort((a, b) => rank(a) - rank(b))[0];
}
