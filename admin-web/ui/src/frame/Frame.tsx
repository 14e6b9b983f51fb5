// What stands around every screen: where one can go, who one is, whether the news is fresh, and what was just done.

import { ActionIcon, Box, Burger, Button, Drawer, Group, Loader, Menu, NavLink, Text, UnstyledButton } from "@mantine/core";
import { useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useEffect, type MouseEvent } from "react";
import { Link, Route as At, Switch, useLocation } from "wouter";
import { api, must, once } from "../api/client";
import { openAlerts } from "../api/counts";
import { LiveEvents, useLive, useNow } from "../api/live";
import { useLanguage, useT } from "../i18n";
import { useFormat } from "../i18n/format";
import { Boundary } from "./Boundary";
import { MeKnown, useMay, useMe } from "./me";
import { Palette } from "./Palette";
import { ROUTES, SECTIONS, type Route } from "./routes";
import { Trace } from "./Trace";

export function Frame() {
  return (
    <MeKnown waiting={<Loader className="waiting" aria-label="Sekisho" />}>
      <LiveEvents>
        <Inside />
      </LiveEvents>
    </MeKnown>
  );
}

function Inside() {
  const t = useT();
  const [path] = useLocation();
  const [nav, navigation] = useDisclosure(false);
  const [trace, tracing] = useDisclosure(false);
  const [palette, search] = useDisclosure(false);
  const may = useMay();
  const seen = ROUTES.filter((r) => may(r.needs));
  useHotkeys([
    ["mod+K", search.open],
    ["/", search.open],
  ]);
  useEffect(navigation.close, [path, navigation.close]);
  useTitle(seen);
  const skip = (e: MouseEvent) => {
    e.preventDefault();
    document.getElementById("main")?.focus();
  };
  return (
    <div className="frame">
      <a className="skip" href="#main" onClick={skip}>
        {t.frame.skip}
      </a>
      <div className="top" role="region" aria-label={t.frame.brand}>
        <Burger opened={nav} onClick={navigation.toggle} size="sm" color="#fff" className="narrow" aria-label={t.frame.menu} />
        <Link href="/" className="brand">
          {t.frame.brand}
        </Link>
        <Button size="xs" variant="default" onClick={search.open} className="find" aria-keyshortcuts="Control+K /">
          {t.frame.search} <kbd>Ctrl K</kbd>
        </Button>
        <Group gap="xs" ml="auto" wrap="nowrap">
          <Freshness />
          <ActionIcon variant="default" size="lg" onClick={tracing.open} className="wide" aria-label={t.trace.title}>
            {"›_"}
          </ActionIcon>
          <Choices />
        </Group>
      </div>
      <nav className="side wide" aria-label={t.frame.menu}>
        <Places seen={seen} />
      </nav>
      <Drawer opened={nav} onClose={navigation.close} title={t.frame.menu} closeButtonProps={{ "aria-label": t.frame.close }}>
        <Places seen={seen} />
      </Drawer>
      <main id="main" tabIndex={-1}>
        <Boundary key={path}>
          <Suspense fallback={<Loader className="waiting" aria-label={t.table.loading} />}>
            <Switch>
              {seen.map((r) => (
                <At key={r.path} path={r.path} component={r.screen} />
              ))}
              <At>
                <Text>{t.frame.nothingHere}</Text>
              </At>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
      <Trace opened={trace} close={tracing.close} />
      {palette && <Palette close={search.close} routes={seen} />}
    </div>
  );
}

/** The title of the page, for the list of windows and for those who hear it. */
function useTitle(seen: Route[]) {
  const t = useT();
  const [path] = useLocation();
  const here = seen.find((r) => r.path === path) ?? seen.find((r) => r.path !== "/" && path.startsWith(r.path));
  useEffect(() => {
    document.title = [here && t.nav[here.name], t.frame.brand].filter(Boolean).join(" · ");
  }, [here, t]);
}

function Places({ seen }: { seen: Route[] }) {
  const t = useT();
  const [path] = useLocation();
  const f = useFormat();
  const counts = useQuery({
    queryKey: ["overview"],
    queryFn: () => must(api.GET("/api/v1/overview")),
    refetchInterval: 30_000,
  });
  const alerts = openAlerts(counts.data);
  return (
    <>
      {SECTIONS.map((section) => {
        const places = seen.filter((r) => r.section === section);
        if (places.length === 0) return null;
        return (
          <Box key={section} mb="xs">
            <Text size="xs" c="dimmed" px="sm" fw={600} component="h2">
              {t.sections[section]}
            </Text>
            {places.map((r) => (
              <NavLink
                key={r.path}
                component={Link}
                href={r.path}
                label={t.nav[r.name]}
                active={path === r.path || (r.path !== "/" && path.startsWith(`${r.path}/`))}
                aria-current={path === r.path ? "page" : undefined}
                variant="light"
                className={r.name === "lost" ? "urgent" : "place"}
                rightSection={r.name === "alerts" && alerts > 0 ? <span className="count">{f.number(alerts)}</span> : undefined}
              />
            ))}
          </Box>
        );
      })}
    </>
  );
}

/** Whether the event stream is open, and since when it has been silent. */
function Freshness() {
  const t = useT();
  const f = useFormat();
  const live = useLive();
  const now = useNow();
  const age = f.span(now - live.since);
  if (live.open === undefined) return <span className="fresh wide">{t.frame.connecting}</span>;
  return (
    <span className={`fresh ${live.open ? "fresh-on" : "fresh-off"}`} role={live.open ? undefined : "alert"}>
      <span className="wide">{live.open ? t.frame.live(age) : t.frame.cut(age)}</span>
      {!live.open && <span className="narrow">{t.frame.cutShort(age)}</span>}
    </span>
  );
}

/** Language, light or dark, and the way out. */
function Choices() {
  const t = useT();
  const me = useMe();
  const { language, speak } = useLanguage();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const name = me.operator || me.label;
  const leave = () =>
    void must(api.POST("/api/v1/sign-out", { params: { header: once() } }))
      .catch(() => undefined)
      .then(() => location.assign("/sign-in"));
  return (
    <>
      <Button size="xs" variant="default" lang={language === "ja" ? "en" : "ja"} onClick={() => speak(language === "ja" ? "en" : "ja")}>
        {language === "ja" ? "English" : "日本語"}
      </Button>
      <ActionIcon
        variant="default"
        size="lg"
        className="wide"
        onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
        aria-label={scheme === "dark" ? t.frame.light : t.frame.dark}
      >
        {scheme === "dark" ? "☀" : "☾"}
      </ActionIcon>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <UnstyledButton className="me" aria-label={`${t.frame.account}: ${name}`}>
            <span className="wide">{name}</span>
            <span className="narrow" aria-hidden="true">
              ⋯
            </span>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label c="dimmed">{me.scopes.join(" · ")}</Menu.Label>
          {(me.operator || me.provider) && (
            <Menu.Item component={Link} href="/account">
              {t.frame.signIns}
            </Menu.Item>
          )}
          <Menu.Item onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}>
            {scheme === "dark" ? t.frame.light : t.frame.dark}
          </Menu.Item>
          <Menu.Item onClick={leave}>{t.frame.signOut}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
