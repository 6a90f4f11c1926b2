/** What was asked for lately, by a text. Nothing is ever cleared at once, so that a keystroke never has to find everything again. */
export class Lately<T> {
    private young = new Map<string, T>();
    private old = new Map<string, T>();

    /** `most`: of the answers kept between half of them and all. */
    constructor(private readonly most: number) {}

    /** `find` is given the text without what it may be a part of: strings that share memory keep all of it. */
    get(text: string, find: (text: string) => T): T {
        const young = this.young.get(text);
        if (young !== undefined || this.young.has(text)) return young!;
        const own = text.split('').join('');
        const value = this.old.has(text) ? this.old.get(text)! : find(own);
        if (this.young.size >= this.most / 2) [this.old, this.young] = [this.young, new Map<string, T>()];
        this.young.set(own, value);
        return value;
    }
}
