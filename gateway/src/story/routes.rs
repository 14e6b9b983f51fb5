//! A network behind a UE, with the kernel's routes and real packets.

use super::*;

const LAN: &str = "10.77.3.0/24";
const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 77, 3, 9);

impl Control<'_> {
    pub(super) fn put_behind(&mut self, networks: &[&str]) {
        let route = |p: &&str| types::FramedRoute {
            imsi: imsi(),
            dnn: "office".parse().unwrap(),
            prefix: p.parse().unwrap(),
        };
        self.say(ToGateway::Routes(networks.iter().map(route).collect()));
        let prefixes = networks.iter().copied().chain(["10.45.0.0/16"]);
        self.say(ToGateway::UePrefixes(prefixes.map(|p| p.parse().unwrap()).collect()));
        // An answer says that what came before it is done.
        self.status();
    }
}

#[test]
fn what_lies_behind_a_ue_is_routed_through_its_session() {
    in_a_namespace("story::routes::what_lies_behind_a_ue_is_routed_through_its_session", || {
        let mut site = Site::build(2);
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let teid = control.establish().unwrap();
        let site = control.site;
        let ask = |from: Ipv4Addr| udp((from, 40_000), (APP, 5000), b"from behind");
        site.send_up(teid, &ask(MACHINE));
        assert!(site.at_company(NEVER).is_none(), "nothing lies behind it yet");

        control.put_behind(&[LAN]);
        site.send_up(teid, &ask(MACHINE));
        assert_eq!(core(&site.at_company(SOON).expect("the question")), core(&ask(MACHINE)));
        // The kernel hands the answer to the TUN, because the network is routed there.
        let answer = udp((APP, 5000), (MACHINE, 40_000), b"to behind");
        site.send_down(&answer);
        let (to, inner) = site.at_radio(SOON).expect("the answer");
        assert_eq!((to, core(&inner)), (GNB_TEID, core(&answer)));
        // A neighbour of the network, and a packet of the company in its name.
        site.send_up(teid, &ask(Ipv4Addr::new(10, 77, 4, 9)));
        site.send_down(&udp((MACHINE, 5000), (UE, 40_000), b"spoofed"));
        assert!(site.at_company(NEVER).is_none() && site.at_radio(NEVER).is_none());

        assert_eq!(control.cut().shards_confirmed, 2);
        site.send_up(teid, &ask(MACHINE));
        site.send_down(&answer);
        assert!(site.at_company(NEVER).is_none() && site.at_radio(NEVER).is_none());
    });
}
