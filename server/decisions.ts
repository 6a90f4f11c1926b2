import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import type { WrongPlaces } from './finding';
import { decidedLayers, rulePlaces, type Decided } from './layers';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import { readUse, type Use } from './uses';

/** Layer → who decides about it. */
const known = new WeakMap<Decided, ReadonlyMap<Linear, number | 'default'>>();

function decidersOf(decided: Decided): ReadonlyMap<Linear, number | 'default'> {
    let deciders = known.get(decided);
    if (!deciders) known.set(decided, (deciders = new Map([...decided].flatMap(([decider, layers]) => layers.map((layer) => [layer, decider] as const)))));
    return deciders;
}

/** What a recipe decides about layers, as far as its values are right. */
export class Decisions {
    readonly hasBudget: boolean;
    readonly layers: Decided;
    private readonly deciders: ReadonlyMap<Linear, number | 'default'>;
    private readonly uses = new Map<number | 'default', Use | null | undefined>();

    constructor(
        private readonly recipe: Recipe,
        readonly header: CheckpointHeader,
        private readonly wrong: WrongPlaces,
    ) {
        const budget = placeAt(recipe.root, ['quantize', 'budget']);
        this.hasBudget = budget?.kind === 'mapping' && wrong.isRight(budget);
        this.layers = decidedLayers(recipe, header);
        this.deciders = decidersOf(this.layers);
    }

    /** The rule that decides about a layer; undefined: none does. */
    ruleOf(layer: Linear): number | undefined {
        const decider = this.deciders.get(layer);
        return decider === 'default' ? undefined : decider;
    }

    isWhollyRight(place: Place): boolean {
        return this.wrong.isWhollyRight(place);
    }

    /** Where a rule or the default says how to quantize. */
    placeOf(decider: number | 'default'): Place | undefined {
        return decider === 'default' ? placeAt(this.recipe.root, ['quantize', 'default']) : childNamed(rulePlaces(this.recipe)[decider], 'use');
    }

    /** How a rule or the default quantizes; null: not at all; undefined: what is written is wrong, or nothing is. */
    useOf(decider: number | 'default'): Use | null | undefined {
        if (!this.uses.has(decider)) {
            const place = this.placeOf(decider);
            this.uses.set(decider, place && this.wrong.isWhollyRight(place) ? (readUse(this.recipe, place) ?? null) : undefined);
        }
        return this.uses.get(decider);
    }

    get candidatePlaces(): readonly Place[] {
        const candidates = placeAt(this.recipe.root, ['candidates']);
        return candidates?.kind === 'list' ? candidates.children : [];
    }

    /** The candidates that are right. */
    get candidates(): Use[] {
        return this.candidatePlaces.flatMap((place) => (this.wrong.isWhollyRight(place) ? (readUse(this.recipe, place) ?? []) : []));
    }
}
