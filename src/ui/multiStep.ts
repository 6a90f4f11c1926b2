import * as vscode from 'vscode';

/** What a step came to: an answer, one step back, or the whole thing dropped. */
export type Answer<T> = { readonly kind: 'answer'; readonly value: T } | { readonly kind: 'back' } | { readonly kind: 'cancelled' };

interface StepPlace {
    readonly title: string;
    readonly step: number;
    readonly steps: number;
}

interface PickStep<T extends vscode.QuickPickItem> extends StepPlace {
    readonly placeholder: string;
    readonly items: readonly T[];
    /** Labels that are chosen (several) or active (one) when the step opens. */
    readonly chosen: readonly string[];
}

/** One of several items. */
export function pickOne<T extends vscode.QuickPickItem>(step: PickStep<T>): Promise<Answer<T>> {
    const pick = quickPick(step, false);
    pick.activeItems = step.items.filter(({ label }) => step.chosen.includes(label)).slice(0, 1);
    return ask(pick, step.step, (resolve) => {
        const chosen = pick.activeItems[0];
        if (chosen) resolve(chosen);
    });
}

/** At least one of several items. */
export function pickMany<T extends vscode.QuickPickItem>(step: PickStep<T> & { readonly needOne: string }): Promise<Answer<readonly T[]>> {
    const pick = quickPick(step, true);
    pick.selectedItems = step.items.filter(({ label }) => step.chosen.includes(label));
    pick.onDidChangeSelection(() => (pick.placeholder = step.placeholder));
    return ask(pick, step.step, (resolve) => {
        // Accepting nothing says why nothing happens, instead of closing.
        if (pick.selectedItems.length > 0) resolve([...pick.selectedItems]);
        else pick.placeholder = step.needOne;
    });
}

interface InputStep extends StepPlace {
    readonly prompt: string;
    readonly value: string;
    /** Why a value cannot be taken; undefined when it can. */
    readonly validate: (value: string) => Promise<string | undefined>;
}

export function inputText(step: InputStep): Promise<Answer<string>> {
    const box = vscode.window.createInputBox();
    Object.assign(box, { title: step.title, step: step.step, totalSteps: step.steps, prompt: step.prompt, value: step.value, ignoreFocusOut: true });
    const check = async (value: string): Promise<boolean> => {
        const problem = await step.validate(value);
        if (value === box.value) box.validationMessage = problem;
        return problem === undefined;
    };
    box.onDidChangeValue((value) => void check(value));
    void check(step.value);
    return ask(box, step.step, (resolve) => {
        const { value } = box;
        void check(value).then((valid) => {
            if (valid) resolve(value);
        });
    });
}

function quickPick<T extends vscode.QuickPickItem>(step: PickStep<T>, many: boolean): vscode.QuickPick<T> {
    const pick = vscode.window.createQuickPick<T>();
    Object.assign(pick, {
        title: step.title, step: step.step, totalSteps: step.steps, placeholder: step.placeholder, items: step.items,
        canSelectMany: many, ignoreFocusOut: true, matchOnDescription: true, matchOnDetail: true,
    });
    return pick;
}

function ask<T>(input: vscode.QuickPick<vscode.QuickPickItem> | vscode.InputBox, step: number, accept: (resolve: (value: T) => void) => void): Promise<Answer<T>> {
    return new Promise((resolve) => {
        const finish = (answer: Answer<T>): void => {
            resolve(answer);
            input.dispose();
        };
        input.buttons = step > 1 ? [vscode.QuickInputButtons.Back] : [];
        input.onDidTriggerButton(() => finish({ kind: 'back' }));
        input.onDidAccept(() => accept((value) => finish({ kind: 'answer', value })));
        input.onDidHide(() => finish({ kind: 'cancelled' }));
        input.show();
    });
}
