// Asks for the reason of something that cannot be looked over, and names what will happen.

import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useT } from "../i18n";
import type { Act } from "./act";

export interface Reason {
  reason: string;
  ticket: string | null;
}

interface Props {
  title: string;
  /** The word on the button that does it. */
  action: string;
  /** What will happen. */
  children?: ReactNode;
  act: Act<Reason>;
  close: () => void;
  /** What must be typed first: a count, the last digits. */
  typed?: { label: string; text: string } | undefined;
  /** Where no reason is kept. */
  plain?: boolean;
  /** Where a reason is kept and no ticket. */
  noTicket?: boolean;
  danger?: boolean;
}

export function ReasonDialog({ title, action, children, act, close, typed, plain, noTicket, danger = true }: Props) {
  const t = useT();
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [text, setText] = useState("");
  const ready = (plain || reason.trim() !== "") && (!typed || text.trim() === typed.text);
  return (
    <Modal opened onClose={close} title={title} closeButtonProps={{ "aria-label": t.frame.close }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (ready) act.go({ reason: reason.trim(), ticket: ticket.trim() || null });
        }}
      >
        <Stack gap="sm">
          {children}
          {!plain && (
            <>
              <TextInput
                data-autofocus
                label={t.frame.reason}
                required
                value={reason}
                error={act.fault("reason")}
                onChange={(e) => setReason(e.currentTarget.value)}
              />
              {!noTicket && (
                <TextInput
                  label={t.frame.ticket}
                  value={ticket}
                  error={act.fault("ticket")}
                  onChange={(e) => setTicket(e.currentTarget.value)}
                />
              )}
            </>
          )}
          {typed && (
            <TextInput label={typed.label} required value={text} onChange={(e) => setText(e.currentTarget.value)} />
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t.frame.cancel}
            </Button>
            <Button type="submit" color={danger ? "red" : "blue"} disabled={!ready} loading={act.busy}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
