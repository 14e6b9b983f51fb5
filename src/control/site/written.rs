//! What was written down at the site: audit, alerts, timelines, receipts.

use super::*;

impl Site {
    pub async fn audit(&self, request: &str) -> Vec<AuditRow> {
        let f = AuditFilter { request_id: Some(request.to_owned()), ..Default::default() };
        let mut all = self.control.store.audit_list(&f, None, 100).await.expect("read").items;
        all.reverse();
        all
    }

    /// The alert of this kind about this SIM, once it has come so often; and how long that took from now on.
    pub async fn alert(&self, kind: AlertKind, u: usize, count: u64) -> (AlertRow, Duration) {
        let since = Instant::now();
        let f = AlertFilter { kind: Some(kind), imsi: Some(imsi(u)), ..Default::default() };
        loop {
            let all = self.control.store.alerts(&f, None, 100).await.expect("read").items;
            if let Some(a) = all.into_iter().find(|a| a.count == count) {
                return (a, since.elapsed());
            }
            assert!(since.elapsed() < Duration::from_secs(10), "no {kind} of {}", imsi(u));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until something stands in a SIM's timeline.
    pub async fn happened(&self, u: usize, is: impl Fn(&Happening) -> bool) {
        let since = Instant::now();
        loop {
            let all = self.control.store.timeline(imsi(u), None, 100).await.expect("read").items;
            if all.iter().any(|e| is(&e.event.what)) {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(10), "{all:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Until the security desk has seen this.
    pub async fn seen(&self, is: impl Fn(&Happening) -> bool) {
        let since = Instant::now();
        loop {
            let all = self.control.store.security_events(None, 100).await.expect("read").items;
            if all.iter().any(|e| is(&e.event.what)) {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(10), "{all:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The newest receipt of a SIM's newest revocation, whose signature holds.
    pub async fn receipt(&self, u: usize) -> Receipt {
        let f = RevocationFilter { imsi: Some(imsi(u)), ..Default::default() };
        let all = self.control.store.revocations(&f, None, 10).await.expect("read").items;
        let id = &all.first().expect("a revocation").id;
        let rows = self.control.store.receipts(id, None, 100).await.expect("read").items;
        let row = rows.iter().find(|r| r.imsi == imsi(u)).expect("its receipt");
        let body: serde_json::Value = serde_json::from_str(&row.body).expect("JSON");
        assert!(verify(&self.public, Purpose::Receipt, &signed_text(&body), &row.signature), "{body}");
        serde_json::from_value(body).expect("a receipt")
    }
}
