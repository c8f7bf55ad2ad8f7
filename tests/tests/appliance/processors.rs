//! The other processors of an appliance come and go while it works on its files.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::files::Verdict as _;

use crate::{Appliance, EverywhereCase};

pub(crate) const EVERYWHERE: &[EverywhereCase] =
    &[EverywhereCase::new("processors", come_and_go)
        .prepared(|launch| launch.extra(["-smp", "4"]))];

fn come_and_go(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let contents: Vec<u8> = (0..=u8::MAX).cycle().take(20_000).collect();
    for round in 0..4 {
        for (online, running) in [(false, 2), (true, 4)] {
            let vcpus: Vec<_> = [1, 3].map(|id| json!({"logical-id": id, "online": online})).into();
            let done = client.call("guest-set-vcpus", &json!({ "vcpus": vcpus })).granted()?;
            ensure!(done == 2, "{done}");
            let path = format!("{round}-{running}");
            client.put_file(&path, &contents)?;
            ensure!(client.take_file(&path, 4096)? == contents, "{path} is damaged");
            let stats = client.call("guest-get-cpustats", &json!({})).granted()?;
            let stats = stats.as_array().context("no list")?;
            ensure!(stats.len() == running, "{stats:?}");
        }
    }
    ensure!(appliance.contents(&mut client, "3-4")? == contents, "the host finds it damaged");
    Ok(())
}
