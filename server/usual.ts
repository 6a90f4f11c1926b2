import type { RecipeSchema } from './schema';

/** Schemes that are applied most, first those that leave a layer's inputs as they are. */
const USUAL_SCHEMES = ['W4A16', 'W8A16', 'W8A8', 'FP8_DYNAMIC'];
const FORMS_OF_METHOD = 2;
/** Names that are offered in the place of one that is not known. */
export const MOST_OFFERED = 4;
/** One form of each kind that somebody may have in mind who wrote a name from elsewhere. */
const USUAL_FORMS = ['gptq-w4a16', 'awq-w4a16', 'fp8_dynamic', 'rtn-w8a16'];

/** Short forms, those first that are applied most, a few of each method; everything else stays in its order. */
export function usualFormsFirst(schema: RecipeSchema, names: readonly string[]): string[] {
    const forms = names.flatMap((name) => (Object.hasOwn(schema.shortForms, name) ? [{ name, ...schema.shortForms[name]! }] : []));
    const usual = [...new Set(forms.map(({ method }) => method))].flatMap((method) => {
        const schemes = USUAL_SCHEMES.flatMap((scheme) => forms.filter((form) => form.method === method && form.scheme === scheme));
        return schemes.slice(0, FORMS_OF_METHOD).map(({ name }) => name);
    });
    const others = forms.map(({ name }) => name).filter((name) => !usual.includes(name));
    const words = names.filter((name) => !usual.includes(name) && !others.includes(name));
    return [...words, ...usual, ...others];
}

/** Schemes, those first that are applied most; other names stay in their order. */
export function usualSchemesFirst(names: readonly string[]): string[] {
    const usual = USUAL_SCHEMES.filter((scheme) => names.includes(scheme));
    return [...usual, ...names.filter((name) => !usual.includes(name))];
}

/** What to offer in the place of a name that is near to none of many: of ways to quantize one of each kind, of few names all, else nothing. */
export function offeredInstead(names: readonly string[]): string[] {
    const usual = USUAL_FORMS.filter((name) => names.includes(name));
    return usual.length > 0 ? usual : names.length <= MOST_OFFERED ? [...names] : [];
}

/** Of short forms the most usual one of each method; other names stay. */
export function firstOfEachMethod(schema: RecipeSchema, names: readonly string[]): string[] {
    const methods = new Set<string>();
    return usualSchemesFirst(usualFormsFirst(schema, names)).filter((name) => {
        const method = Object.hasOwn(schema.shortForms, name) ? schema.shortForms[name]!.method : undefined;
        return method === undefined || methods.size < methods.add(method).size;
    });
}
