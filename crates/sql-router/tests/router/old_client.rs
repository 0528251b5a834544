//! A client of the old kind: no DEPRECATE_EOF, no session tracking, as PHP's and many others are.

use mysql::command::Command;
use mysql::packet::put;
use mysql::reply::{ErrPacket, OkPacket, parse_eof};
use mysql::wire::Reader;

use crate::bed::Bed;
use crate::raw::Raw;

struct Old(Raw);

/// What came back: the first value of each row, or the OK's text.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Ok(String),
    Rows(Vec<String>),
    Error(u16),
}

impl Old {
    async fn connect(bed: &Bed) -> Self {
        let (raw, verdict) = Raw::login_with(bed, 0).await;
        assert_eq!(verdict, [0, 0, 0, 2, 0, 0, 0], "{verdict:?}");
        Self(raw)
    }

    async fn send(&mut self, command: Command, payload: &[u8]) {
        self.0.command(command, payload).await;
    }

    async fn payload(&mut self) -> Vec<u8> {
        self.0.answer().await.unwrap()
    }

    async fn query(&mut self, sql: &str) -> Got {
        self.send(Command::Query, sql.as_bytes()).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Got {
        let head = self.payload().await;
        match head[0] {
            0 => {
                let ok = OkPacket::parse(&head, false).unwrap();
                assert_eq!(ok.status & 0x4000, 0, "no trace of tracking");
                Got::Ok(String::from_utf8_lossy(ok.info).into_owned())
            }
            0xff => Got::Error(ErrPacket::parse(&head).unwrap().code),
            count => {
                for _ in 0..count {
                    assert_eq!(self.payload().await[..4], *b"\x03def");
                }
                assert!(parse_eof(&self.payload().await).is_some());
                self.rows().await
            }
        }
    }

    async fn rows(&mut self) -> Got {
        let mut rows = Vec::new();
        loop {
            let row = self.payload().await;
            if row[0] == 0xfe {
                assert_eq!(row.len(), 5);
                return Got::Rows(rows);
            }
            let value = Reader::new(&row).lenenc_bytes().unwrap_or_default();
            rows.push(String::from_utf8_lossy(value).into_owned());
        }
    }

    async fn whereabouts(&mut self) -> Got {
        self.query("SELECT @@report_host").await
    }
}

fn rows(values: &[&str]) -> Got {
    Got::Rows(values.iter().map(|value| (*value).to_owned()).collect())
}

#[tokio::test]
async fn an_old_client_is_served_as_well() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&["CREATE FUNCTION app.f() RETURNS INT BEGIN INSERT INTO app.t (v) VALUES ('f'); RETURN 1; END"])
        .await;
    bed.caught_up().await;
    let mut client = Old::connect(&bed).await;
    assert_eq!(client.whereabouts().await, rows(&["db-2"]));
    assert_eq!(
        client.query("INSERT INTO t (v) VALUES ('a'), ('b')").await,
        Got::Ok("Records: 2  Duplicates: 0  Warnings: 0".to_owned())
    );
    assert_eq!(client.query("SELECT COUNT(*) FROM t").await, rows(&["2"]));
    assert_eq!(client.query("SELEC").await, Got::Error(1064));

    // A write that answers with rows carries no report for such a client; it is asked for.
    assert_eq!(client.query("SELECT f()").await, rows(&["1"]));
    assert_eq!(client.query("SELECT COUNT(*) FROM t").await, rows(&["3"]));
    assert_eq!(client.whereabouts().await, rows(&["db-2"]));
    assert_eq!(client.query("SELECT COUNT(*) FROM t").await, rows(&["3"]));

    client.send(Command::Ping, b"").await;
    assert_eq!(client.answer().await, Got::Ok(String::new()));
    client.send(Command::InitDb, b"app").await;
    assert_eq!(client.answer().await, Got::Ok(String::new()));
    client.send(Command::InitDb, b"nowhere").await;
    assert_eq!(client.answer().await, Got::Error(1044));
    client.send(Command::FieldList, b"t\0").await;
    let Got::Rows(fields) = client.rows().await else {
        panic!("no fields")
    };
    assert_eq!(fields.len(), 2);
    client.send(Command::Statistics, b"").await;
    assert!(client.payload().await.starts_with(b"Uptime"));
    client.send(Command::Other(0x12), b"").await;
    assert_eq!(client.answer().await, Got::Error(1047));
    client.send(Command::SetOption, b"\0\0").await;
    assert_eq!(client.payload().await[0], 0xfe);
    client.send(Command::Query, b"SELECT 1; SELECT 2").await;
    assert_eq!(client.answer().await, rows(&["1"]));
    assert_eq!(client.answer().await, rows(&["2"]));
}

#[tokio::test]
async fn cursors_and_long_data() {
    let bed = Bed::start().await;
    let mut client = Old::connect(&bed).await;
    for _ in 0..3 {
        client.query("INSERT INTO t (v) VALUES ('x')").await;
    }
    let prepared = |head: &[u8]| {
        assert_eq!(head[0], 0, "{head:?}");
        [head[1], head[2], head[3], head[4]]
    };
    client
        .send(Command::StmtPrepare, b"SELECT id FROM t ORDER BY id")
        .await;
    let id = prepared(&client.payload().await);
    for _ in 0..2 {
        client.payload().await;
    }
    client
        .send(Command::StmtExecute, &[&id[..], &[1, 1, 0, 0, 0]].concat())
        .await;
    assert_eq!(client.payload().await, [1]);
    client.payload().await;
    let (_, status) = parse_eof(&client.payload().await).unwrap();
    assert_eq!(status & 0x40, 0x40, "a cursor is open");
    client
        .send(Command::StmtFetch, &[&id[..], &[2, 0, 0, 0]].concat())
        .await;
    let Got::Rows(fetched) = client.rows().await else {
        panic!("no rows")
    };
    assert_eq!(fetched.len(), 2);
    client.send(Command::StmtReset, &id).await;
    assert_eq!(client.answer().await, Got::Ok(String::new()));
    client
        .send(Command::StmtFetch, &[&id[..], &[2, 0, 0, 0]].concat())
        .await;
    assert_eq!(client.answer().await, Got::Error(1421));
    client.send(Command::StmtClose, &id).await;

    client
        .send(Command::StmtPrepare, b"INSERT INTO t (v) VALUES (?)")
        .await;
    let id = prepared(&client.payload().await);
    for _ in 0..2 {
        client.payload().await;
    }
    for piece in ["long ", "data"] {
        client
            .send(
                Command::StmtSendLongData,
                &[&id[..], &[0, 0], piece.as_bytes()].concat(),
            )
            .await;
    }
    // One parameter, not NULL, types bound: MYSQL_TYPE_BLOB.
    let execute = [&id[..], &[0, 1, 0, 0, 0, 0, 1, 252, 0]].concat();
    client.send(Command::StmtExecute, &execute).await;
    assert_eq!(client.answer().await, Got::Ok(String::new()));
    assert_eq!(
        client
            .query("SELECT v FROM t ORDER BY id DESC LIMIT 1")
            .await,
        rows(&["long data"])
    );
    client
        .send(Command::StmtExecute, &[9, 0, 0, 0, 0, 1, 0, 0, 0])
        .await;
    assert_eq!(client.answer().await, Got::Error(1243));
}

#[tokio::test]
async fn a_local_file_comes_from_the_client() {
    let bed = Bed::start().await;
    let mut client = Old::connect(&bed).await;
    let load = b"LOAD DATA LOCAL INFILE 'numbers' INTO TABLE t";
    client.send(Command::Query, load).await;
    assert_eq!(client.payload().await, b"\xfbnumbers");
    let mut out = Vec::new();
    let mut sequence = 2;
    for piece in [b"1\ta\n2\t".as_slice(), b"b\n", b""] {
        put(&mut out, &mut sequence, piece);
    }
    client.0.say(&out).await;
    let Got::Ok(text) = client.answer().await else {
        panic!("not loaded")
    };
    assert!(text.starts_with("Records: 2"), "{text}");
    assert_eq!(
        client.query("SELECT v FROM t ORDER BY id").await,
        rows(&["a", "b"])
    );
}
