//! What clients get while avain is away.

use http::Method;

use crate::doctor::Scene;
use crate::doctor::checks::OUTAGE;
use crate::doctor::client::Ask;
use crate::doctor::outside::list;
use crate::doctor::report::Report;

pub(super) async fn attack(scene: &Scene<'_>, report: &Report) {
    let asks = [
        ("GET", Ask::get(scene.path())),
        ("GET with a bad credential", Ask::get(scene.path()).credential(Some(scene.bad()))),
        ("GET with the credential", Ask::get(scene.path()).credential(scene.credential())),
        ("POST", Ask::new(Method::POST, scene.nowhere()).body("x")),
    ];
    let mut wrong = Vec::new();
    for (what, ask) in asks {
        match scene.client.send(ask).await {
            Ok(answer) if answer.status != 503 => {
                wrong.push(format!("{what} is answered {}", answer.status.as_u16()));
            }
            Ok(answer) if !answer.is_json() => wrong.push(format!("{what}: 503 is not JSON")),
            Ok(answer) if !answer.has("retry-after") => {
                wrong.push(format!("{what}: 503 has no Retry-After"));
            }
            Ok(_) => {}
            Err(why) => return report.not_checked(OUTAGE, &why),
        }
    }
    report.judge(OUTAGE, list(&wrong));
}
