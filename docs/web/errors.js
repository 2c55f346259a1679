/** What a reader may see: what was found, what was expected, what to do. There is no verdict then. */
export class NoVerdict extends Error {}
