// The README as the extension's page shows it. That page is no file in a folder: VS Code takes everything but web addresses out of its links and images.

/** A link to a file of the repository. */
const link = String.raw`\[([^\]]*)\]\((?![a-z][a-z+.-]*:|#)[^)\s]+\)`;
/** Parentheses with nothing but such links, the space before included: without them there is nothing left to say. */
const aside = new RegExp(String.raw`\s+\((?:${link}(?:,\s+)?)+\)`, 'g');
const image = /!\[[^\]]*\]\((?![a-z][a-z+.-]*:)[^)\s]+\)/g;
const instead = '**Quant: Show Documentation**, in the command palette, opens the pages that come with the extension.';

/**
 * Links become the words that they are made of, and the first picture says where the pages are.
 * @param {string} readme
 */
export function readmeOfPackage(readme) {
    let told = false;
    const pictured = readme.replaceAll(image, () => {
        const words = told ? '' : instead;
        told = true;
        return words;
    });
    return pictured.replaceAll(aside, '').replaceAll(new RegExp(link, 'g'), '$1');
}
