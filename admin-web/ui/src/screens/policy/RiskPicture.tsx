// The sixteen situations and what each comes to for the three kinds of apps.

import { Table, Title } from "@mantine/core";
import { Pill } from "../../frame/bits";
import { useT } from "../../i18n";
import { FACTORS, SENSITIVITIES, type Profile, type Situation } from "./risk";

export function RiskPicture({ draft, all }: { draft: Profile; all: Situation[] }) {
  const t = useT();
  const full = Math.max(1, ...all.map((s) => s.score));
  return (
    <section>
      <Title order={2} size="h4">
        {t.risk.picture}
      </Title>
      <div className="risk-scroll" tabIndex={0} role="region" aria-label={t.risk.picture}>
        <Table className="risk-picture">
          <Table.Thead>
            <Table.Tr>
              {FACTORS.map((f) => (
                <Table.Th key={f}>{t.risk.factors[f]}</Table.Th>
              ))}
              <Table.Th>{t.risk.score}</Table.Th>
              <Table.Th>{t.risk.level}</Table.Th>
              {SENSITIVITIES.map((s) => (
                <Table.Th key={s}>{t.words[s]}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {all.map((s) => (
              <Table.Tr key={s.there.join("+")} data-level={s.level}>
                {FACTORS.map((f) => (
                  <Table.Td key={f}>
                    {s.there.includes(f) ? (
                      <>
                        <span className={`risk-dot risk-${f.replace("_", "-")}`} aria-hidden="true" /> {t.frame.yes}
                      </>
                    ) : (
                      <span className="risk-none">{t.frame.no}</span>
                    )}
                  </Table.Td>
                ))}
                <Table.Td className="risk-score">
                  {s.score}
                  <span className="risk-length" aria-hidden="true" style={{ width: `${(60 * s.score) / full}px` }} />
                </Table.Td>
                <Table.Td>
                  <Pill value={s.level} text={t.conditions.values[s.level]} />
                </Table.Td>
                {SENSITIVITIES.map((sensitivity) => (
                  <Table.Td key={sensitivity}>
                    <Pill value={draft.outcomes[s.level][sensitivity]} />
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
    </section>
  );
}
