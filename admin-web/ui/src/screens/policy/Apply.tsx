// Puts a policy that somebody has seen the plan of in the place of the stored one: as a file or as a model.

import { Text } from "@mantine/core";
import { api, must, once } from "../../api/client";
import { useAct } from "../../frame/act";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import type { Model } from "./templates";

interface Props {
  what: { text: string } | { policy: Model };
  /** The generation that the plan was made against. */
  generation: number;
  close: () => void;
  done: () => void;
}

export function Apply({ what, generation, close, done }: Props) {
  const t = useT();
  const act = useAct({
    run: ({ reason }: Reason) =>
      must(api.POST("/api/v1/policies/apply", { params: { header: once() }, body: { ...body(what), reason, if_generation: generation } })),
    done: (a) => t.policy.applied(a.generation),
    touches: ["rules", "apps", "groups", "facts", "system"],
    after: () => {
      done();
      close();
    },
    fields: ["reason"],
  });
  return (
    <ReasonDialog title={t.policy.applySure(generation)} action={t.policy.apply} act={act} close={close} noTicket>
      <Text size="sm">{t.policy.applyWhat}</Text>
    </ReasonDialog>
  );
}

/** What the API takes: its document calls the model an object and no more. */
export function body(what: Props["what"]): { text: string } | { policy: Record<string, never> } {
  return "text" in what ? what : { policy: what.policy as unknown as Record<string, never> };
}
