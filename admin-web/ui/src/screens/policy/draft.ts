// The draft of the policy: kept while this tab is open, so that whoever looks something up elsewhere finds it again.

export interface DraftText {
  text: string;
  /** The generation that it began with. */
  base: number;
}

let kept: DraftText | undefined;

export function keptDraft(): DraftText | undefined {
  return kept;
}

export function keepDraft(d: DraftText | undefined): void {
  kept = d;
}
