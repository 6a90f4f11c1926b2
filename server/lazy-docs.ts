import type { CompletionItem, CompletionList } from 'vscode-languageserver/node';

/** Keeps the documentation of the newest list of completions back until the editor asks for that of one item. */
export class LazyDocs {
    private list = 0;
    private docs: readonly CompletionItem['documentation'][] = [];

    strip({ isIncomplete, items }: CompletionList): CompletionList {
        this.list++;
        this.docs = items.map(({ documentation }) => documentation);
        return { isIncomplete, items: items.map(({ documentation: _, ...item }, index) => ({ ...item, data: { list: this.list, index } })) };
    }

    /** The item itself when its list is not the newest one any more. */
    resolve(item: CompletionItem): CompletionItem {
        const { list, index } = (item.data ?? {}) as { list?: number; index?: number };
        return list === this.list && index !== undefined ? { ...item, documentation: this.docs[index] } : item;
    }
}
